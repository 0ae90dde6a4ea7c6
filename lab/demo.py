"""The demo, from no cluster to the result: `python -m lab.demo`. Orders the steps, which are in other modules.

Three hospitals, each with its own Kubernetes cluster, train one model of breast cancer. No row leaves a hospital.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from rich.console import Console

from lab import demo_data, demo_ending, demo_report, demo_rounds, demo_splits, images, install, lifecycle, shell
from lab.demo_data import HOSPITALS, Hospital
from lab.demo_report import Finished
from lab.demo_rounds import NAMESPACE, Chain, Round
from lab.demo_splits import Accuracies
from lab.errors import LabError
from lab.install import SITE_NAMESPACE, WRITTEN, apply, kubectl
from lab.topology import named
from wardround.cli import explain, verbs, watch
from wardround.cli.cluster import Cluster as Api
from wardround.cli.errors import CommandError

NAMES = [hospital.name for hospital in HOSPITALS]
ROUND_SECONDS = 600.0
# The lowest priority of Linux: the clusters go first.
LOWEST = 19


class Progress:
    """Prints lines with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, line: str) -> None:
        elapsed = int(time.monotonic() - self._started)
        print(f"[{elapsed // 60}:{elapsed % 60:02}] {line}", flush=True)

    def step(self, line: str) -> None:
        print(flush=True)
        self(line)


def main() -> int:
    progress = Progress()
    try:
        demo(progress)
    except (LabError, CommandError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def demo(progress: Progress) -> None:
    progress.step("Images: built from this checkout")
    built = images.build_all(progress)
    # It uses the time in which the clusters wait. Its container inherits the priority of this thread.
    with ThreadPoolExecutor(1, initializer=_go_last) as pool:
        _on_clusters(built, pool.submit(demo_splits.measure, progress), progress)


def _go_last() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)


def _on_clusters(built: images.Images, other_splits: Future[list[Accuracies]], progress: Progress) -> None:
    progress.step("Clusters: a hub and three hospitals, each a Kubernetes of its own")
    lifecycle.up(len(HOSPITALS), built.unpacked)
    install.import_images(NAMES, built)
    progress("images imported into all clusters")
    progress.step("Data: 569 cases, cut into three hospitals; each file lies on a volume of its own cluster")
    _write_data(progress)
    progress.step("Wardround: installed by Helm, hospitals enrolled and approved")
    install.install_hub(built, progress)
    apply(named("hub"), [*demo_rounds.documents("federation.yaml"), demo_rounds.data_schema()], NAMESPACE)
    with ThreadPoolExecutor(len(HOSPITALS)) as pool:
        list(pool.map(lambda hospital: _install(hospital, built, progress), HOSPITALS))

    hub = Api(str(named("hub").kubeconfig))
    # A round never changes, so the rounds of an earlier demo must not be shown again.
    kubectl(named("hub"), "delete", "federatedrounds", "--all", "-n", NAMESPACE)
    together = demo_rounds.federated(built.trainer.reference)
    progress.step("Together: one Statistics round, five Train rounds")
    trained = _run(hub, "federated", together.training, progress, every_stage=True)
    progress.step("Evaluation: the model, on rows that no hospital has trained on")
    evaluated = _run(hub, "evaluate", [together.evaluation], progress)
    if not other_splits.done():
        progress.step("Other splits of the same cases, and each hospital alone: simulated since the images are there")
    comparison = demo_splits.compare(other_splits.result())
    _report(together, trained, evaluated, comparison, progress)


def _write_data(progress: Progress) -> None:
    tables = demo_data.tables()
    for hospital in HOSPITALS:
        folder = install.data_folder(hospital.name)
        demo_data.write(tables[hospital.name], folder / "cases.csv")
        demo_data.write_keys(hospital, install.state_folder(hospital.name))
        share = 100 * hospital.malignant / hospital.cases
        spoilt = len(demo_data.BLEMISHES[hospital.name])
        progress(
            f"{hospital.name}, {hospital.display_name}: {hospital.cases} cases, {share:.0f} % malignant, "
            f"{spoilt} {'rows' if spoilt > 1 else 'row'} with faults as in real exports"
        )


def _install(hospital: Hospital, built: images.Images, progress: Progress) -> None:
    dataset = demo_rounds.dataset()
    offered = dataset["metadata"]["name"]
    schema = demo_rounds.data_schema()
    # The lab allows rounds of one hospital. The demo has none, and keeps the chart's default.
    values = {"policy": {"dataSchemas": [schema["metadata"]["name"]], "minQuorum": 2}}
    install.install_site(hospital.name, hospital.display_name, {offered: [NAMESPACE]}, built, progress, values)
    apply(named(hospital.name), [schema, dataset], SITE_NAMESPACE)
    install.wait_for_dataset(hospital.name, offered)
    progress(f"{hospital.name}: offers dataset {offered} to federation {NAMESPACE}")


def _run(
    hub: Api, file: str, rounds: Sequence[Round], progress: Progress, every_stage: bool = False
) -> dict[str, Finished]:
    """Apply rounds as one file and watch them until they end. Raises LabError with the explanation of a failure."""
    path = WRITTEN / f"rounds-{file}.yaml"
    path.write_text(demo_rounds.text(rounds), encoding="utf-8")
    kubectl(named("hub"), "apply", "-f", str(path))
    done: dict[str, Finished] = {}
    before: dict[str, watch.Screen] = {}
    until = time.monotonic() + ROUND_SECONDS
    while len(done) < len(rounds):
        for name in (each["metadata"]["name"] for each in rounds):
            if name in done:
                continue
            round_, tasks = verbs.round_with_tasks(hub, name, NAMESPACE)
            shown = watch.view(round_, tasks, datetime.now(UTC))
            if every_stage and shown.rows:
                for line in watch.lines(before.get(name), shown):
                    progress(f"{name}: {line}")
                before[name] = shown
            if shown.exit_code == watch.COMPLETE:
                done[name] = Finished(round_, tasks)
                if not every_stage:
                    progress(f"{name}: {shown.footer}")
            elif shown.exit_code == watch.FAILED or time.monotonic() > until:
                leases = {
                    each["metadata"]["namespace"]: verbs.lease(hub, each["metadata"]["namespace"]) for each in tasks
                }
                raise LabError(explain.text(explain.explain_round(round_, tasks, leases, datetime.now(UTC))))
        time.sleep(0.5)
    return {name: done[name] for name in (each["metadata"]["name"] for each in rounds)}


def _report(
    together: Chain,
    trained: dict[str, Finished],
    evaluated: dict[str, Finished],
    comparison: demo_splits.Comparison,
    progress: Progress,
) -> None:
    evaluation = evaluated[together.evaluation["metadata"]["name"]]
    last = trained[together.names[-1]]
    summary = demo_report.summary([*trained.values(), evaluation], evaluation, last, NAMES)
    summary["splits"] = demo_splits.document(comparison)
    path = WRITTEN / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console = Console(width=max(Console().width, 100))
    progress.step("Result")
    display_names = {hospital.name: hospital.display_name for hospital in HOSPITALS}
    console.print(demo_report.table(summary, evaluation, display_names))
    console.print()
    console.print(demo_splits.table(comparison))
    console.print()
    console.print(demo_report.spans_table([each for each in trained.values() if each.round["spec"]["task"] == "Train"]))
    shell.write()
    (WRITTEN / demo_ending.FURTHER_FILE).write_text(demo_ending.further_text(together), encoding="utf-8")
    # soft_wrap: commands must stay on one line, so that people can copy them.
    console.print(demo_ending.text(last.name, path.name), highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
