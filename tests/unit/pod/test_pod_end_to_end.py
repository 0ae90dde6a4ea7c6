"""All verbs in the pod's order, on folders. No value of the data appears outside the view and the private folder."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.unit.pod import world
from wardround import __main__ as wardround
from wardround import tensors
from wardround.aggregate import counts as bounds
from wardround.pod.folders import Folders


class Pod:
    """Runs verbs as Kubernetes does: settings in the environment, and a termination message."""

    def __init__(self, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders = folders
        self.log = folders.root / "termination"
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        target = {"name": "hub", "host": "127.0.0.1", "port": port, "protocol": "TCP"}
        monkeypatch.setenv("WARDROUND_ROOT", str(folders.root))
        monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(self.log))
        monkeypatch.setenv("WARDROUND_ISOLATION", json.dumps([target]))
        self._environment = monkeypatch

    def run(self, verb: str, task: dict[str, Any] | None = None) -> int:
        self.log.unlink(missing_ok=True)
        if task is not None:
            for name, value in world.environment(task).items():
                self._environment.setenv(name, value)
        return wardround.main([verb])

    @property
    def message(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.log.read_text("utf-8"))
        return document


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(world.pod(tmp_path), monkeypatch)


def fake_training(folders: Folders) -> None:
    """A researcher's script: one step of logistic regression in numpy, standardising with the frozen input layer."""
    view = parquet.read_table(folders.view_file("train"))
    task = json.loads(folders.task_file.read_text())
    target = task["dataset"]["schema"]["target"]
    model = world.read(folders.base / "model.safetensors")
    names = [name for name in view.column_names if name != target]
    features = np.stack([view.column(name).to_numpy() for name in names], axis=1)
    inputs = (features - model["input.mean"]) / model["input.std"]
    labels = view.column(target).to_numpy()
    error = 1 / (1 + np.exp(-(inputs @ model["layer.weight"].T + model["layer.bias"])))[:, 0] - labels
    model["layer.weight"] = (model["layer.weight"] - 0.1 * (error @ inputs) / len(labels)).astype(np.float32)
    tensors.write(folders.out / "model.safetensors", model)
    rows = parquet.read_table(folders.view_file("validation")).num_rows
    world.probabilities(folders.out / "validation.f64", np.linspace(0.1, 0.9, rows))


def test_a_statistics_round_from_raw_rows_to_an_update(pod: Pod) -> None:
    task = world.task("Statistics")
    assert pod.run("prepare", task) == 0
    samples = pod.message["samples"]
    assert pod.run("statistics") == 0
    assert pod.run("check") == 0
    update = world.read(pod.folders.update / "update.safetensors")
    view = parquet.read_table(pod.folders.view_file("train"))
    radius = view.column("mean_radius").to_numpy().astype(np.float64)
    assert update["count"].tolist() == [samples, samples]
    assert update["shift"].tolist() == [25.0, 0.0]  # the middle of 0 to 50; age has no maximum
    mean = update["shift"] + update["sum"] / update["count"]
    variance = update["squares"] / update["count"] - np.square(update["sum"] / update["count"])
    assert mean[0] == pytest.approx(radius.mean())
    assert variance[0] == pytest.approx(radius.var())
    assert update["positives"].tolist() == [np.count_nonzero(view.column("malignant").to_numpy())]
    assert update["rows"].tolist() == [samples]
    document = world.update(pod.folders)
    assert (document["samples"], document["baseDigest"], document["sums"]) == (samples, "", None)
    assert document["withheld"] is False
    assert bounds.row_count(update, samples) == view.num_rows  # the aggregation accepts it


def test_a_person_who_guesses_statistics_cannot_confirm_them_by_the_updates_digest(pod: Pod) -> None:
    """The guess is right in each sum. The person does not know the hospital's salt."""
    assert [pod.run("prepare", world.task("Statistics")), pod.run("statistics"), pod.run("check")] == [0, 0, 0]
    exact, sent = world.read(pod.folders.update / "update.safetensors"), world.update(pod.folders)["digest"]

    def digest(arrays: dict[str, Any]) -> str:
        (pod.folders.root / "guess").unlink(missing_ok=True)
        return tensors.write(pod.folders.root / "guess", arrays)

    without = {name: each for name, each in exact.items() if name != "salt"}
    guesses = [without, *({**exact, "salt": np.full(32, each)} for each in (0.0, 255.0))]
    assert sent not in [digest(each) for each in guesses]
    assert sent == digest(exact)


def test_a_train_round_from_raw_rows_to_an_update(pod: Pod) -> None:
    world.model(pod.folders.base / "model.safetensors")
    assert pod.run("prepare", world.task()) == 0
    read = {"rows", "patients", "trainingPatients", "quality", "leftOut", "ignoredColumns"}
    assert set(pod.message) == read | {"samples", "schemaDigest", "splitFingerprint"}
    assert pod.message["trainingPatients"] == pod.message["samples"] < pod.message["patients"]
    fake_training(pod.folders)
    assert pod.run("check") == 0
    update = world.read(pod.folders.update / "update.safetensors")
    trained = world.read(pod.folders.out / "model.safetensors")
    assert (update["layer.weight"] == trained["layer.weight"] - world.MODEL["layer.weight"]).all()
    assert update["layer.weight"].any()
    people = parquet.read_table(pod.folders.view_file("validation")).num_rows
    sums = world.sums(pod.folders)
    assert sums is not None
    numbers = {name: np.array([float(each) for each in texts]) for name, texts in sums.sums.items()}
    bounds.validated(numbers, people, 11)  # the aggregation accepts it
    own = {each["name"]: each for each in pod.message["metrics"]}
    assert own["loss"]["people"] == people
    assert own["loss"]["rows"] == "Validation"


def test_an_evaluate_round_from_raw_rows_to_sums(pod: Pod) -> None:
    assert pod.run("prepare", world.task("Evaluate")) == 0
    radius = parquet.read_table(pod.folders.view_file("evaluation")).column("mean_radius").to_numpy()
    (1 / (1 + np.exp(15 - radius.astype(np.float64)))).astype("<f8").tofile(pod.folders.out / "predictions.f64")
    assert pod.run("score") == 0
    own = {each["name"]: each for each in pod.message["metrics"]}
    assert float(own["auc"]["value"]) > 0.8
    update, samples = world.read(pod.folders.update / "update.safetensors"), world.update(pod.folders)["samples"]
    assert bounds.evaluated(update, samples, 11) == len(radius)  # the aggregation accepts it


def test_an_evaluate_round_over_too_few_people_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Pod(world.pod(tmp_path, world.rows(40)), monkeypatch)
    assert pod.run("prepare", world.task("Evaluate")) == 0
    assert pod.message["samples"] == 0
    assert pod.run("score") == 0
    assert not pod.log.exists()


def test_the_termination_message_has_reason_class_and_field(pod: Pod) -> None:
    task = world.task()
    task["schema"]["fields"].append({"name": "texture", "type": "number"})
    assert pod.run("prepare", task) == 65
    assert (pod.message["reason"], pod.message["class"], pod.message["field"]) == ("ColumnMissing", "Site", "texture")


def test_missing_output_exits_with_1_and_class_code(pod: Pod) -> None:
    world.model(pod.folders.base / "model.safetensors")
    assert pod.run("prepare", world.task()) == 0
    assert pod.run("check") == 1
    assert (pod.message["reason"], pod.message["class"]) == ("OutputMissing", "Code")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WARDROUND_TASK", "{"),
        ("WARDROUND_TASK", "[]"),
        ("WARDROUND_TASK", json.dumps(world.task(parameters={"epochs": 1}))),
        ("WARDROUND_TASK", json.dumps(world.task(maxSamples="100"))),
        # As null means absent there.
        *(("WARDROUND_TASK", json.dumps({**world.task(), name: None})) for name in ("references", "compression")),
        ("WARDROUND_KIND", "Simulate"),
        ("WARDROUND_ROWS", "Train"),
        ("WARDROUND_TELL_OWN_METRICS", "yes"),
        ("WARDROUND_DATASET_NAME", "../order/key"),
        ("WARDROUND_DATASET_NAME", ""),
        ("WARDROUND_DATASET", ""),
        ("WARDROUND_DATASET", "[]"),
        ("WARDROUND_MIN_SAMPLES", "few"),
        ("WARDROUND_MIN_CELL", ""),
        ("WARDROUND_MAX_LEFT_OUT", ""),
        ("WARDROUND_MAX_LEFT_OUT", "nan"),
        ("WARDROUND_MAX_EVALUATIONS", ""),
        ("WARDROUND_MAX_EVALUATIONS", "many"),
        ("WARDROUND_MAX_LEFT_OUT", "1.5"),
        ("WARDROUND_ALLOWED_PARAMETERS", ""),
        ("WARDROUND_ALLOWED_PARAMETERS", "null"),
        ("WARDROUND_ALLOWED_PARAMETERS", '{"epochs":{"most":"10"}}'),
        ("WARDROUND_ISOLATION", "[]"),
        ("WARDROUND_ISOLATION_SECONDS", "nan"),
        ("WARDROUND_LINK_LOCAL", "Ignore"),
    ],
)
def test_malformed_settings_are_a_platform_failure(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    for each, value in {**world.environment(world.task()), name: text}.items():
        monkeypatch.setenv(each, value)
    assert pod.run("prepare") == 70
    assert (pod.message["reason"], pod.message["class"]) == ("PodFailed", "Platform")


@pytest.mark.parametrize("name", world.environment(world.task()))
def test_a_missing_variable_fails_instead_of_using_a_default(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each, value in world.environment(world.task()).items():
        if each != name:
            monkeypatch.setenv(each, value)
    assert pod.run("prepare") == 70
    assert name in pod.message["message"]
    assert not pod.folders.task_file.exists()


def test_kind_dataset_and_limits_in_the_hubs_task_are_ignored(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Admission compares the other variables with the verb, the Dataset and the chart, but cannot check this one."""
    variables = world.environment(world.task(minSamples=10**6))
    forged = world.task("Evaluate", minSamples=1)
    forged["dataset"]["path"] = "others.csv"
    for name, value in {**variables, "WARDROUND_TASK": json.dumps(forged)}.items():
        monkeypatch.setenv(name, value)
    assert pod.run("prepare") == 65
    assert pod.message["reason"] == "TooFewSamples"
    assert not pod.folders.view_file("evaluation").exists()


@pytest.mark.parametrize("kind", ["Train", "Evaluate"])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": "1", "batchSize": "1"}, '"batchSize": "1", which is below the minimum "16"'),
        ({"steps": "8"}, '"steps": "8", which is not listed'),
        ({"epochs": "11"}, 'maximum "10"'),
    ],
)
def test_refused_parameters_fail_before_a_row_is_read(
    pod: Pod, kind: str, parameters: dict[str, Any], message: str
) -> None:
    """An attacker who controls the site operator can write any WARDROUND_TASK."""
    (pod.folders.raw / "cases.csv").unlink()
    assert pod.run("prepare", world.task(kind, parameters=parameters)) == 65
    assert (pod.message["reason"], pod.message["class"]) == ("ParametersNotAllowed", "Site")
    assert message in pod.message["message"]
    assert not pod.folders.task_file.exists()


def test_statistics_ignores_parameters(pod: Pod) -> None:
    assert pod.run("prepare", world.task("Statistics", parameters={"steps": "8"})) == 0


def test_a_long_quality_list_leaves_the_termination_message_valid_json(pod: Pod) -> None:
    task = world.task()
    names = [f"a_feature_with_quite_a_long_name_{number}" for number in range(200)]
    task["schema"]["fields"] += [{"name": name, "type": "number"} for name in names]
    lines = [line + ",1" * 200 for line in world.rows()]
    lines += [f"bad-{number},1,1,1" + ",x" * 200 for number in range(3)]
    world.pod(pod.folders.root, lines, ",".join([world.HEADER, *names]))
    assert pod.run("prepare", task) == 0
    assert pod.log.stat().st_size <= 4096
    assert pod.message["samples"] > 100
    assert len(pod.message["quality"]) > 10


# Every value in DATA is one of these, so a leaked value is recognisable as text and as a number.
CANARY, NUMBER = "Canary7731", "41.773177"

DATA: dict[str, bytes] = {
    "every cell a text": "\n".join([world.HEADER, ",".join([CANARY] * 4)]).encode(),
    "every number known": "\n".join(
        [world.HEADER] + [f"{CANARY}-{number},{NUMBER},41,{number % 2}" for number in range(60)]
    ).encode(),
    "a row too long": "\n".join([world.HEADER, *world.rows(), f"{CANARY},{NUMBER},{CANARY},1,{CANARY}"]).encode(),
    "a column unknown": "\n".join([f"ward,{world.HEADER}", f"{CANARY},{CANARY},{NUMBER},41,1"]).encode(),
    "an open quote in the header": "\n".join(
        [f'{world.HEADER},"ward', f'{CANARY},{NUMBER},41,1,"', f"{CANARY},{NUMBER},41,1,x"]
    ).encode(),
    "a header missing": f"{CANARY},{NUMBER},{CANARY},1\n".encode(),
    "not UTF-8": world.HEADER.encode() + f"\n{CANARY}".encode() + b"\xff,41.773177,41,1\n",
    "an open quote": world.HEADER.encode() + f'\n"{CANARY},{NUMBER},41,1\n'.encode(),
    "not Parquet": b"PAR1" + CANARY.encode() * 9 + b"PAR1",
}


@pytest.mark.parametrize("kind", ["Statistics", "Train", "Evaluate"])
@pytest.mark.parametrize("name", DATA)
def test_no_value_of_the_data_is_in_a_message_log_or_update(
    pod: Pod, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    folders = pod.folders
    (folders.raw / "cases.csv").write_bytes(DATA[name])
    world.model(folders.base / "model.safetensors")
    task = world.task(kind)
    task["dataset"]["format"] = "Parquet" if "Parquet" in name else "CSV"
    messages = []
    if pod.run("prepare", task) == 0:
        messages.append(pod.log.read_text())
        if kind == "Statistics":
            assert pod.run("statistics") == 0
        elif kind == "Train":
            fake_training(folders)
        else:
            rows = parquet.read_table(folders.view_file("evaluation")).num_rows
            np.full(rows, 0.5).astype("<f8").tofile(folders.out / "predictions.f64")
        assert pod.run("score" if kind == "Evaluate" else "check") == 0
    else:
        messages.append(pod.log.read_text())
    logs = capfd.readouterr()
    written = [path for path in folders.root.rglob("*") if path.is_file()]
    outside = [path for path in written if path.relative_to(folders.root).parts[0] not in ("raw", "data", "private")]
    texts = [logs.out, logs.err, *messages, *(path.read_bytes().decode("latin-1") for path in outside)]
    assert texts
    for text in texts:
        assert CANARY not in text
        assert NUMBER not in text
    # The view holds no identifier either.
    for path in folders.data.glob("*"):
        assert CANARY.encode() not in path.read_bytes()


def test_an_unexpected_exception_is_reported_without_its_text(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("wardround.pod.dataset.read", broken)
    assert pod.run("prepare", world.task()) == 70
    assert CANARY not in pod.log.read_text() + "".join(capfd.readouterr())
    assert "RuntimeError at" in pod.message["message"]
