"""The demo, from no cluster to the result: `python -m lab.demo`. Orders the steps, which are in other modules.

Three hospitals, each with its own Kubernetes cluster, train one model of breast cancer. No row leaves a hospital.
"""

import json
import os
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from rich.console import Console

from lab import (
    demo_data,
    demo_ending,
    demo_gate,
    demo_model,
    demo_report,
    demo_rounds,
    demo_splits,
    demo_use,
    images,
    install,
    lifecycle,
    shell,
)
from lab.demo_data import HOSPITALS, Hospital
from lab.demo_model import Trained
from lab.demo_report import Finished
from lab.demo_rounds import NAMESPACE, Chain, Round
from lab.demo_splits import Accuracies
from lab.errors import LabError
from lab.install import SITE_NAMESPACE, WRITTEN, apply, kubectl
from lab.topology import named
from wardround.card.folder import load_card
from wardround.cli import explain, verbs, watch
from wardround.cli.cluster import Cluster as Api
from wardround.cli.commands import report
from wardround.cli.errors import CommandError
from wardround.cli.report.seen import SignedCard

NAMES = [hospital.name for hospital in HOSPITALS]
ROUND_SECONDS = 600.0
TASKS = ["Train", "Statistics", "Evaluate", "Deliver"]
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
    progress.step("Data: 508 of 569 cases, cut into three hospitals; each file lies on a volume of its own cluster")
    _write_data(progress)
    progress.step("Wardround: installed by Helm, hospitals enrolled and approved")
    install.install_hub(NAMES, built, progress)
    apply(named("hub"), [*demo_rounds.documents("federation.yaml"), demo_rounds.data_schema()], NAMESPACE)
    with ThreadPoolExecutor(len(HOSPITALS)) as pool:
        list(pool.map(lambda hospital: _install(hospital, built, progress), HOSPITALS))

    hub = Api(str(named("hub").kubeconfig))
    # A round never changes, so the rounds of an earlier demo must not be shown again.
    for kind in ("federatedmodels", "federatedrounds", "modelversions"):
        kubectl(named("hub"), "delete", kind, "--all", "-n", NAMESPACE)
    demo_use.forget()
    together = demo_rounds.federated(built.trainer.reference)
    progress.step("Together: one FederatedModel, whose rounds the hub makes: Statistics, five Train, one Evaluate")
    # The first series takes longer than that. So the second series begins at the end of the first one.
    minute = demo_model.next_minute(datetime.now(UTC))
    model = demo_rounds.model(built.trainer.reference, minute)
    _apply_model(model)
    further = demo_rounds.further_series(model)
    # The hub operator must see the change before the first series ends, or the next series begins without it.
    changed = demo_model.is_trained, lambda: _apply_model(further)
    first = demo_model.follow(hub, progress, 1, (changed, (demo_model.is_measured, lambda: _new_cases(progress))))
    progress(demo_model.verdict(first))
    second = _further_series(hub, first, progress)
    _apply_model(demo_rounds.without_trigger(further))
    progress.step(f"Version {second.current.spec.version}: measured on test rows, brought to the hospitals, pulled")
    with ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(_hand_out, hub, second, progress)
        evaluated = _run(hub, demo_rounds.evaluation(together, second.current.spec.round_name), progress)
        signed = pulled.result()
    _refused_series(hub, further, progress)
    if not other_splits.done():
        progress.step("Other splits of the same cases, and each hospital alone: simulated since the images are there")
    comparison = demo_splits.compare(other_splits.result())
    _report(hub, together, (first, second), evaluated, comparison, signed, progress)


def _new_cases(progress: Progress) -> None:
    """New cases come to a hospital: the first series has measured its last model, and the next one has not begun."""
    demo_data.write(demo_data.tables()[demo_data.GROWING], install.data_folder(demo_data.GROWING) / "cases.csv")
    progress(f"{demo_data.GROWING}: {demo_data.NEW_CASES} new cases are in its file. The next series trains with them")


def _further_series(hub: Api, first: Trained, progress: Progress) -> Trained:
    """The hub trains the current version further. While it does, the clinic asks that version about a new patient.
    Raises LabError if the gate does not accept the new model."""
    progress.step(f"New cases at {demo_data.GROWING}: the hub trains version 1 further. Meanwhile, the clinic uses it")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_ask, hub, first, progress)
        second = demo_model.follow(hub, progress, 2)
        asked.result()
    progress(demo_model.verdict(second))
    if not second.promoted:
        raise LabError(f"The gate did not accept version {second.made.spec.version}, which learned from new cases.")
    return second


def _refused_series(hub: Api, further: Round, progress: Progress) -> None:
    progress.step(f"Flipped labels at {demo_gate.HOSPITAL}: the gate compares the next model with the versions before")
    _apply_model(demo_rounds.flipped_series(further))
    demo_gate.show(hub, progress)
    _apply_model(demo_rounds.without_trigger(further))


def _ask(hub: Api, trained: Trained, progress: Progress) -> None:
    progress(f"version {trained.current.spec.version}: {demo_model.delivered(hub, trained.current)}")
    demo_use.predict(progress)


def _hand_out(hub: Api, trained: Trained, progress: Progress) -> SignedCard:
    """Returns the card that came with the model."""
    fingerprint = install.fingerprint(hub)
    folder = demo_use.pull(trained.current, fingerprint, progress)
    progress(f"version {trained.current.spec.version}: {demo_model.delivered(hub, trained.current)}")
    return SignedCard(load_card(folder, fingerprint), fingerprint)


def _write_data(progress: Progress) -> None:
    tables = demo_data.at_start(demo_data.tables())
    for hospital in HOSPITALS:
        folder = install.data_folder(hospital.name)
        demo_data.write(tables[hospital.name], folder / "cases.csv")
        demo_data.write_keys(hospital, install.state_folder(hospital.name))
        header, rows = tables[hospital.name]
        place = header.index(demo_data.target())
        share = 100 * sum(row[place] == "1" for row in rows) / len(rows)
        spoilt = len(demo_data.BLEMISHES[hospital.name])
        progress(
            f"{hospital.name}, {hospital.display_name}: {len(rows)} cases, {share:.0f} % malignant, "
            f"{spoilt} {'rows' if spoilt > 1 else 'row'} with faults as in real exports"
        )


def _install(hospital: Hospital, built: images.Images, progress: Progress) -> None:
    dataset = demo_rounds.dataset()
    offered = dataset["metadata"]["name"]
    schema = demo_rounds.data_schema()
    # The lab allows rounds of one hospital. The demo has none, and keeps the chart's default. People repeat the demo,
    # and each demo measures other models on the same rows.
    policy = {"dataSchemas": [schema["metadata"]["name"]], "minQuorum": 2, "tasks": TASKS, "maxEvaluations": 1000}
    values = {"policy": policy | {"release": "Readers"}}
    install.install_site(hospital.name, hospital.display_name, {offered: [NAMESPACE]}, built, progress, values)
    apply(named(hospital.name), [schema, dataset], SITE_NAMESPACE)
    install.wait_for_dataset(hospital.name, offered)
    progress(f"{hospital.name}: offers dataset {offered} to federation {NAMESPACE}")


def _apply_model(model: Round) -> None:
    """The file is afterwards as the object, so people can apply it again."""
    _apply(demo_rounds.text([model]), "model.yaml")


def _apply(text: str, file: str) -> None:
    """Apply objects on the hub from a file that stays."""
    path = WRITTEN / file
    path.write_text(text, encoding="utf-8")
    kubectl(named("hub"), "apply", "-f", str(path))


def _run(hub: Api, federated_round: Round, progress: Progress) -> Finished:
    """Apply a round and watch it until it ends. Raises LabError with the explanation of a failure."""
    name = federated_round["metadata"]["name"]
    _apply(demo_rounds.text([federated_round]), f"rounds-{name}.yaml")
    until = time.monotonic() + ROUND_SECONDS
    while True:
        round_, tasks = verbs.round_with_tasks(hub, name, NAMESPACE)
        shown = watch.view(round_, tasks, datetime.now(UTC))
        if shown.exit_code == watch.COMPLETE:
            progress(f"{name}: {shown.footer}")
            return Finished(round_, tasks)
        if shown.exit_code == watch.FAILED or time.monotonic() > until:
            leases = {each: verbs.lease(hub, each) for each in {task["metadata"]["namespace"] for task in tasks}}
            raise LabError(explain.text(explain.explain_round(round_, tasks, leases, datetime.now(UTC))))
        time.sleep(0.5)


def _report(
    hub: Api,
    together: Chain,
    series: tuple[Trained, Trained],
    evaluation: Finished,
    comparison: demo_splits.Comparison,
    signed: SignedCard,
    progress: Progress,
) -> None:
    rounds = [each for trained in series for each in trained.rounds]
    base = series[-1].current.spec.round_name
    [best] = [each for each in rounds if each.name == base]
    summary = demo_report.summary([*rounds, evaluation], evaluation, best, NAMES)
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
    console.print(demo_report.spans_table([each for each in rounds if each.round["spec"]["task"] == "Train"]))
    shell.write()
    (WRITTEN / demo_ending.FURTHER_FILE).write_text(demo_ending.further_text(together, base), encoding="utf-8")
    (WRITTEN / demo_ending.REPORT).write_text(report.html(hub, demo_rounds.MODEL, NAMESPACE, signed), encoding="utf-8")
    demo_data.write(demo_data.new_patient(demo_data.tables()), WRITTEN / demo_ending.PATIENT_FILE)
    # soft_wrap: commands must stay on one line, so that people can copy them.
    ending = demo_ending.text(base, path.name, install.fingerprint(hub))
    console.print(ending, highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
