"""Rounds of three real hospitals, from apply to result, also during restarts, network cuts and upgrades."""

import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import yaml

from lab import demo_data, demo_rounds, install, lifecycle, network
from lab.install import SITE_NAMESPACE, WRITTEN, helm
from lab.topology import named
from tests.conditions import Condition, condition, is_true, timeline
from tests.e2e import hostile
from tests.e2e import simulated as simulation
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, DELIVERED, UNTRAINED, Federation, Finished
from tests.e2e.models import Caught, result
from tests.e2e.series import Series
from tests.probes.findings import findings
from wardround.card import folder
from wardround.metrics import digits

ALONE: dict[str, Any] = {"participants": {"names": ["site-a"]}}
CUT = "site-c"
# The built-in trainer, which looks for other models before it predicts.
BESIDE = f"{Path(hostile.__file__).read_text('utf-8')}\nbeside()\n"
LOOKING: dict[str, Any] = {"command": COMMAND, "parameters": {**UNTRAINED, **carried(BESIDE)}}
DECLARED = ["loss", "accuracy", "auc", "rows"]


@pytest.fixture(scope="module")
def caught(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caught]:
    """Copies of all updates that the rounds of this module send."""
    with Caught(federation.sites, tmp_path_factory.mktemp("updates")) as caught:
        yield caught


@pytest.fixture(scope="module")
def statistics(model: Series) -> Finished:
    return model.round(0)


@pytest.fixture(scope="module")
def first(model: Series) -> Finished:
    return model.round(1)


@pytest.fixture(scope="module")
def simulated(
    federation: Federation, model: Series, statistics: Finished, first: Finished
) -> Iterator[Future[Mapping[str, str]]]:
    """Digests of the model's three rounds, simulated beside the tests that follow."""

    def digests() -> Mapping[str, str]:
        rounds = [each.round for each in (statistics, first, model.round(2))]
        named_rounds = [
            {**each, "metadata": {name: each["metadata"][name] for name in ("name", "namespace")}} for each in rounds
        ]
        return simulation.digests(federation, named_rounds)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(digests)


@dataclass(frozen=True)
class Trained:
    """Rounds from the base of the model's second round: as that round, compressed, and with code that looks around."""

    again: Finished
    compressed: Finished
    looking: Finished


@pytest.fixture(scope="module")
def trained(federation: Federation, first: Finished) -> Trained:
    start = {"base": {"roundName": first.name}}
    made = federation.run_rounds(
        federation.manifest("again", "Train", metrics=["loss"], **start),
        federation.manifest("compressed", "Train", metrics=["loss"], aggregation={"compression": "Int8"}, **start),
        federation.manifest("looking", "Train", **start, **LOOKING),
    )
    return Trained(*made)


@pytest.fixture(scope="module")
def second(model: Series, trained: Trained) -> Finished:
    """The model trains it while the rounds of `trained` run."""
    return model.round(2)


@pytest.fixture(scope="module")
def evaluated(federation: Federation, caught: Caught, first: Finished, second: Finished, trained: Trained) -> Finished:
    """An evaluation of the second model against the first one and the one of `looking`, on test rows. Its updates are
    copied."""
    spec = {"base": {"roundName": second.name}, "metrics": DECLARED, "quorum": {"min": 2}, **LOOKING}
    return federation.run_round("evaluate", "Evaluate", **spec, references=[first.name, trained.looking.name])


def test_statistics_cover_every_hospital_without_faulty_rows(federation: Federation, statistics: Finished) -> None:
    everyone = {"selected": 3, "accepted": 3, "sent": 3, "aggregated": 3, "failed": 0, "refused": 0, "absent": 0}
    assert statistics.round["status"]["participants"] == everyone
    counted = {site: statistics.task(site)["status"]["update"]["samples"] for site in federation.sites}
    for hospital in demo_data.HOSPITALS:
        dataset = federation.kubectl(hospital.name).get("dataset", DATASET, "-n", federation.site_namespace)["status"]
        assert dataset["rows"] == hospital.cases - len(demo_data.BLEMISHES[hospital.name])
        # The other rows are on the validation and test sides.
        assert 0.5 * dataset["rows"] < counted[hospital.name] < 0.8 * dataset["rows"]
    assert statistics.result["samples"] == sum(counted.values())


@pytest.mark.usefixtures("simulated")
def test_equal_rounds_train_equal_models_and_compressed_updates_are_smaller(
    federation: Federation, first: Finished, second: Finished, trained: Trained
) -> None:
    assert second.result["digest"] != first.result["digest"]
    # The same question about the same data, asked by the model and by hand, has the same answer bit for bit.
    assert trained.again.result["digest"] == second.result["digest"]
    compressed = trained.compressed
    assert compressed.result["compression"] == "Int8"
    assert compressed.result["digest"] not in (first.result["digest"], second.result["digest"])
    sent = {
        each.name: [each.task(site)["status"]["upload"]["bytes"] for site in federation.sites]
        for each in (trained.again, compressed)
    }
    assert all(few < many for few, many in zip(sent[compressed.name], sent[trained.again.name], strict=True))


def test_a_hospital_with_too_few_patients_withholds_its_loss(
    federation: Federation, first: Finished, second: Finished
) -> None:
    # The clinic has one malignant validation row: too few.
    updates = {site: second.task(site)["status"]["update"] for site in federation.sites}
    assert {site: update.get("withheld", False) for site, update in updates.items()} == {
        "site-a": False,
        "site-b": False,
        "site-c": True,
    }
    assert second.result["withheld"] == 1
    [loss] = second.result["metrics"]
    assert (loss["hospitals"], loss["people"], loss["rows"]) == (2, digits.rounded_count(111), "Validation")
    assert (loss["better"], loss["model"]) == ("Lower", first.name)
    assert 0 < float(loss["low"]) < float(loss["value"]) < float(loss["high"])
    # The hospital's own people read the same number, and more, at the hospital.
    own = federation.site_task("site-a", second.task("site-a")["metadata"]["name"])["status"]["metrics"]
    [shown, _] = second.result["hospitals"]
    assert shown["name"] == "site-a"
    [reported] = [each["value"] for each in shown["metrics"] if each["name"] == "loss"]
    assert {each["name"]: each["value"] for each in own}["loss"] == reported
    assert federation.site_task("site-c", second.task("site-c")["metadata"]["name"])["status"].get("metrics", []) == []


def test_training_changes_the_base(first: Finished, second: Finished, tmp_path: Path) -> None:
    base, after = result(first, tmp_path), result(second, tmp_path)
    assert {name: values.dtype for name, values in after.items()} == dict.fromkeys(base, np.float32)
    assert any(np.any(after[name] != base[name]) for name in base)


def test_an_evaluation_on_test_rows_has_the_numbers_that_hospitals_sent(
    federation: Federation, caught: Caught, first: Finished, evaluated: Finished
) -> None:
    sums = []
    for site in ("site-a", "site-b"):
        copy = federation.site_task(site, evaluated.task(site)["metadata"]["name"])
        sums.append(caught.update(site, copy["metadata"]["uid"]))
    assert difference_from(first.name, evaluated.result) == expected_difference(sums)
    assert list(evaluated.metrics) == DECLARED
    # The clinic has two malignant test rows: it withholds its numbers, and that is no failure.
    assert evaluated.result["withheld"] == 1
    participants = evaluated.round["status"]["participants"]
    assert (participants["sent"], participants["aggregated"], participants["failed"]) == (3, 2, 0)
    assert 0 <= float(evaluated.metrics["accuracy"]) <= 1
    assert int(evaluated.metrics["rows"]) == evaluated.result["samples"] == 93
    assert [each["name"] for each in evaluated.result["hospitals"]] == ["site-a", "site-b"]
    for site in ("site-a", "site-b"):
        counted = federation.kubectl(site).get("dataset", DATASET, "-n", federation.site_namespace)["status"]
        assert {each["rows"]: each["used"] for each in counted["evaluations"]}["Test"] >= 1


def test_each_model_predicts_alone(
    federation: Federation, second: Finished, trained: Trained, evaluated: Finished
) -> None:
    """Three models predict in one pod, one after the other: the code of `evaluate`, of `first` and of `looking`."""
    task = evaluated.task("site-a")["metadata"]["name"]
    for container, made in (("train", second), ("reference2", trained.looking)):
        assert_alone(beside(federation, task, container), made)


def assert_alone(report: dict[str, Any], own: Finished) -> None:
    """The code of a model has found its own model, and nothing that another model has or has left."""
    files = ("base/model.safetensors", "data/evaluation.parquet", "task/task.json")
    assert [each for each in report["files"] if each.startswith("/wardround")] == [
        f"/wardround/{each}" for each in files
    ]
    assert not [each for each in report["files"] if hostile.MARK in each]
    assert report["models"] == {"/wardround/base/model.safetensors": own.result["digest"].removeprefix("sha256:")}
    assert len(report["processes"]) == 1
    mounted = {line.split()[1] for line in report["mounts"]}
    assert {each for each in mounted if each.startswith("/wardround/")} == {
        f"/wardround/{each}" for each in ("task", "data", "base", "out", "state/in")
    }
    # The code could leave marks here, so another model's marks would be among its files if the folders were shared.
    assert report["marked"] == ["/wardround/out", "/tmp", "/dev/shm"]


def beside(federation: Federation, task: str, container: str) -> dict[str, Any]:
    """The findings of the code of one model, in an evaluation at site-a."""
    log = federation.kubectl("site-a")("logs", "-n", federation.site_namespace, f"job/{task}", "-c", container)
    report: dict[str, Any] = findings(log)
    return report


def test_a_series_ends_with_a_version_and_people_can_follow_it(model: Series) -> None:
    version, series = model.version(), model.live()["status"]["series"]
    assert [(each["task"], each["outcome"]) for each in series["rounds"]] == [
        (task, "Complete") for task in ("Statistics", "Train", "Train", "Evaluate")
    ]
    losses = {each["name"]: each["loss"] for each in series["rounds"] if "loss" in each}
    assert len(losses) == 2
    assert version["spec"]["roundName"] == series["best"] == min(losses, key=lambda name: float(losses[name]))
    assert {each["name"]: each["value"] for each in version["status"]["metrics"]} == {"loss": losses[series["best"]]}
    followed, explained = model.ask("watch"), model.ask("explain")
    results = model.ask("results")
    assert f"modelversion/{version['metadata']['name']}" in results.stdout, results.stderr
    assert (followed.returncode, explained.returncode) == (0, 0), followed.stderr + explained.stderr
    assert f"{series['best']}: Train " in followed.stdout
    assert f"Current version: {version['metadata']['name']}" in followed.stdout
    assert f"FederatedModel {model.federation.namespace}/{model.name} is ready." in explained.stdout


def test_a_hospital_that_takes_models_has_the_current_version(model: Series) -> None:
    """site-b takes models, and the others have the default policy. The courier's pod has written the claim."""
    version, delivered = model.version(), model.delivery()
    home = install.models_folder(DELIVERED) / model.name
    assert (home / "current").read_text() == "v1\n"
    pin = model.federation.kubectl(DELIVERED).get("site", "site", "-n", SITE_NAMESPACE)["spec"]["hub"]["fingerprint"]
    card = folder.load(home / "v1", pin).card
    assert (card.round_name, card.model.digest) == (version["spec"]["roundName"], version["spec"]["digest"])
    refused = [site for site in model.federation.sites if site != DELIVERED]
    assert {site: delivered.attention(site)["reason"] for site in refused} == dict.fromkeys(refused, "TaskNotAllowed")
    assert not any(install.models_folder(site).joinpath(model.name).exists() for site in refused)


def test_a_person_predicts_at_the_hospital_with_the_delivered_version(model: Series, tmp_path: Path) -> None:
    """A real closed pod writes what `wardround predict` prints on a laptop, to the last digit."""
    model.delivery()
    cluster, name = model.federation.kubectl(DELIVERED), f"new-{model.name}"
    header, *lines = (install.data_folder(DELIVERED) / "cases.csv").read_text("utf-8").splitlines()
    first, *rest = lines[0].split(",")
    rows = install.claim_folder(DELIVERED, install.ROWS_CLAIM) / f"{name}.csv"
    outside = ",".join([first, *["-"] * len(rest)])
    rows.write_text("\n".join([header, *lines[:20], outside]) + "\n", "utf-8")
    prediction = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "Prediction",
        "metadata": {"name": name, "namespace": SITE_NAMESPACE},
        "spec": {
            "model": {"name": model.name},
            "datasetName": DATASET,
            "rows": {"claimName": install.ROWS_CLAIM, "path": rows.name},
            "answer": {"claimName": install.ANSWERS_CLAIM, "path": rows.name},
        },
    }
    cluster.apply(prediction)

    def made() -> dict[str, Any]:
        return cluster.get("prediction", name, "-n", SITE_NAMESPACE)

    eventually("the Prediction has ended", lambda: is_true(made(), "Complete") or is_true(made(), "Failed"), 300)
    assert is_true(made(), "Complete"), made()["status"]
    counted = made()["status"]["answer"]
    assert (counted["version"], counted["answered"], counted["outside"]) == ("v1", 20, 1)
    described = tmp_path / "dataset.yaml"
    described.write_text(yaml.safe_dump(demo_rounds.dataset()))
    pin = cluster.get("site", "site", "-n", SITE_NAMESPACE)["spec"]["hub"]["fingerprint"]
    version = install.models_folder(DELIVERED) / model.name / "v1"
    words = ("predict", str(version), str(rows), "--dataset", str(described), "--hub-fingerprint", pin)
    command = (sys.executable, "-m", "wardround", *words)
    laptop = subprocess.run(command, capture_output=True, text=True, timeout=300)
    answer = install.claim_folder(DELIVERED, install.ANSWERS_CLAIM) / rows.name
    assert answer.read_text("utf-8") == laptop.stdout, laptop.stderr


def difference_from(reference: str, result: dict[str, Any]) -> tuple[str, ...]:
    [gain] = [each for each in result["differences"] if each["reference"] == reference]
    assert (gain["better"], gain["hospitals"]) == ("Lower", 2)
    return gain["value"], gain["low"], gain["high"], gain["referenceLoss"], str(gain["people"]), str(gain["events"])


def expected_difference(hospitals: list[dict[str, Any]]) -> tuple[str, ...]:
    """The same from the sums that each hospital sent."""
    people = sum(each["people"][0] for each in hospitals)
    events = sum(each["people"][1] for each in hospitals)
    loss, total, _ = (sum(each["differences"][0, place] for each in hospitals) for place in range(3))
    variance = 0.0
    for each in hospitals:
        n, (_, own, squares) = each["people"][0], each["differences"][0]
        variance += n / (n - 1) * (squares - own * own / n)
        assert each["loss"][0] - each["differences"][0, 0] == pytest.approx(own)
    half = NormalDist().inv_cdf(0.975) * math.sqrt(variance) / people
    value = total / people
    smaller = min(each["people"][0] for each in hospitals)
    low = digits.end_text(value - half, smaller, upper=False)
    high = digits.end_text(value + half, smaller, upper=True)
    numbers = digits.text(value, smaller), low, high, digits.text(loss / people, smaller)
    return (*numbers, str(digits.rounded_count(people)), str(digits.rounded_count(events)))


def test_a_simulation_inside_the_trainer_image_makes_the_same_models(
    model: Series, statistics: Finished, first: Finished, simulated: Future[Mapping[str, str]]
) -> None:
    """The reference for all models of the clusters. tests/integration/store has an independent FedAvg."""
    rounds = (statistics, first, model.round(2))
    assert simulated.result() == {each.name: each.result["digest"] for each in rounds}


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_applying_a_round_again_changes_nothing(federation: Federation, how: list[str]) -> None:
    kubectl = federation.kubectl("hub")
    made = federation.manifest(f"again{len(how)}", "Train", initial={}, suspend=True)
    text = yaml.safe_dump(made)

    def looked() -> dict[str, Any]:
        return kubectl.get("federatedround", made["metadata"]["name"], "-n", federation.namespace)

    try:
        kubectl("apply", *how, "-f", "-", stdin=text)
        # kubectl reads the object twice for its diff. The operator must not write its first status in between.
        eventually("the operator has looked", lambda: is_true(looked(), "Suspended"))
        diff = kubectl.run("diff", *how, "-f", "-", stdin=text, check=False)
        assert (diff.returncode, diff.stdout) == (0, "")
        before = looked()
        kubectl("apply", *how, "-f", "-", stdin=text)
        assert looked()["metadata"]["generation"] == before["metadata"]["generation"]
    finally:
        kubectl("delete", "federatedround", made["metadata"]["name"], "-n", federation.namespace)


def test_an_upgrade_with_the_same_values_restarts_nothing(federation: Federation) -> None:
    namespaces = {"hub": federation.hub_namespace} | dict.fromkeys(federation.sites, federation.site_namespace)

    def running() -> dict[str, str]:
        return {
            pod["metadata"]["uid"]: f"{cluster}/{pod['metadata']['name']}"
            for cluster, namespace in namespaces.items()
            for pod in federation.kubectl(cluster).get(
                "pods", "-n", namespace, "--field-selector=status.phase=Running"
            )["items"]
            if pod["metadata"]["labels"].get("wardround.io/role") in ("operator", "courier", "store")
        }

    def upgrade(cluster: str) -> None:
        for chart in ("crds", "hub" if cluster == "hub" else "site"):
            release = f"wardround-{chart}"
            values = yaml.safe_load((WRITTEN / f"values-{cluster}-{release}.yaml").read_text())
            helm(named(cluster), release, chart, namespaces[cluster], values)

    before = running()
    with ThreadPoolExecutor(len(namespaces)) as pool:
        list(pool.map(upgrade, namespaces))
    time.sleep(2)
    assert running() == before


def test_a_round_survives_restarts_of_hub_operator_and_courier(federation: Federation) -> None:
    made = federation.manifest("restarts", "Train", initial={}, parameters=UNTRAINED)
    name = made["metadata"]["name"]
    federation.apply(made)
    eventually("a site works on it", lambda: any(timeline(task) for task in federation.tasks_of(name)))
    hub, site = federation.kubectl("hub"), federation.kubectl("site-b")
    hub(
        "delete",
        "pod",
        "-n",
        federation.hub_namespace,
        "-l",
        "wardround.io/role=operator",
        "--force",
        "--grace-period=0",
    )
    site(
        "delete",
        "pod",
        "-n",
        federation.site_namespace,
        "-l",
        "wardround.io/role=courier",
        "--force",
        "--grace-period=0",
    )
    assert federation.completed(name).round["status"]["participants"]["aggregated"] == 3


@pytest.fixture(scope="module")
def cut_off(federation: Federation) -> Iterator[str]:
    """The name of a round of all hospitals while CUT is unreachable. It runs while other tests work without CUT."""
    network.cut(named(CUT))
    try:
        # The deadlines are long, so that the grace after the quorum closes the round.
        made = federation.manifest("cut", "Statistics", quorum={"min": 2, "graceSeconds": 10})
        federation.apply(made)
        yield made["metadata"]["name"]
    finally:
        network.heal(named(CUT))


@pytest.fixture
def one_accelerator() -> Iterator[None]:
    site = lifecycle.open_existing("site-a")
    site.offer_accelerators(1)
    try:
        yield
    finally:
        site.offer_accelerators(0)


@pytest.mark.usefixtures("one_accelerator", "cut_off")
def test_a_round_gets_an_offered_accelerator_and_waits_for_a_missing_one(federation: Federation) -> None:
    def asking(count: int) -> dict[str, Any]:
        resources = {"nodes": 1, "acceleratorsPerNode": count}
        spec = {"initial": {}, "parameters": UNTRAINED, **ALONE}
        return federation.manifest(f"gpu-{count}", "Train", resources=resources, **spec)

    one, two = asking(1), asking(2)
    name = two["metadata"]["name"]
    federation.apply(one, two)
    try:
        seen: list[Condition | None] = []
        there = ("-n", federation.site_namespace)

        def both_say() -> bool:
            tasks = federation.tasks_of(name)
            # The site copies the task a moment later.
            own = [federation.kubectl("site-a").find("sitetask", each["metadata"]["name"], *there) for each in tasks]
            seen[:] = [condition(each, "Reconciling") for each in (*tasks, *own) if each]
            return [each.reason for each in seen if each] == ["Unschedulable"] * 2

        eventually("both sides say that it waits", both_say)
        assert (at_site := seen[1]) is not None
        assert "nvidia.com/gpu" in at_site.message
        federation.completed(one["metadata"]["name"])
    finally:
        federation.kubectl("hub")("delete", "federatedround", name, "-n", federation.namespace)


def test_a_hospital_that_is_cut_off_is_left_out_and_named(federation: Federation, cut_off: str) -> None:
    def own_site() -> dict[str, Any]:
        return federation.kubectl(CUT).get("site", "site", "-n", federation.site_namespace)

    def connection() -> Condition:
        connected = condition(own_site(), "HubConnected")
        assert connected is not None
        return connected

    finished = federation.completed(cut_off)
    assert finished.round["status"]["participants"]["aggregated"] == 2
    assert finished.attention(CUT)["reason"] == "NotSentInTime"
    eventually("the hospital says that the hub is away", lambda: connection().reason == "HubUnreachable")
    assert (connection().status, bool(connection().message)) == ("False", True)
    network.heal(named(CUT))
    eventually("the hospital is back", lambda: is_true(own_site(), "HubConnected"))
    # The site gets the task when its watch has noticed that the connection is back.
    assert federation.run_round("healed", "Statistics", participants={"names": [CUT]}).complete
