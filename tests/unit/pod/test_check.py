"""`check` refuses the output of a faulty or hostile trainer: each attack has one reason, and leaves no update."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tests.unit.pod import world
from tests.unit.pod.sockets import unix_socket
from wardround import tensors
from wardround.metrics import registry
from wardround.metrics import sums as metric_sums
from wardround.metrics.digits import text
from wardround.pod import output
from wardround.pod.check import check
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tensors import Array
from wardround.wire import digests, layouts
from wardround.wire.update import MOST_SUMS

TRAINED: dict[str, Array | None] = {"layer.weight": np.array([[0.75, -0.5]], np.float32)}
CHANCES = np.where(np.arange(40) % 2, np.linspace(0.3, 0.9, 40), np.linspace(0.1, 0.6, 40))
Attack = Callable[[Folders], None]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = world.pod(tmp_path)
    world.report(folders, world.task(), samples=290)
    world.model(folders.base / "model.safetensors")
    world.model(folders.out / "model.safetensors", TRAINED)
    world.probabilities(folders.out / "validation.f64", CHANCES)
    return folders


def declaring(folders: Folders, *names: str) -> Folders:
    """A round that declares these metrics."""
    world.report(folders, world.task(metrics=list(names)), samples=290)
    return folders


def initial(folders: Folders) -> Folders:
    world.report(folders, world.task(baseDigest=""), samples=290)
    return folders


def test_an_update_is_trained_minus_base_and_zero_for_frozen_tensors(folders: Folders) -> None:
    check(folders)
    update = world.read(folders.update / "update.safetensors")
    assert update["layer.weight"].tolist() == [[0.25, -0.25]]
    for name in ("input.mean", "input.std", "layer.bias", "steps"):
        assert not np.frombuffer(update[name].tobytes(), np.uint8).any()
    assert {name: array.dtype for name, array in update.items()} == {n: a.dtype for n, a in world.MODEL.items()}


@pytest.mark.parametrize("frozen", [[], ["*"]], ids=["nothing frozen", "everything frozen"])
def test_a_changed_integer_tensor_is_ignored(folders: Folders, frozen: list[str]) -> None:
    """As of a BatchNorm layer, which counts its batches. The aggregation keeps the base's value."""
    world.report(folders, world.task(exchange={"frozen": frozen}))
    world.model(folders.out / "model.safetensors", {"steps": np.array([4], np.int64)})
    check(folders)
    assert world.read(folders.update / "update.safetensors")["steps"].tolist() == [0]


def test_an_initial_round_sends_the_integers_of_the_initial_model(folders: Folders) -> None:
    world.model(folders.out / "model.safetensors", {**TRAINED, "steps": np.array([4], np.int64)})
    check(initial(folders))
    update = world.read(folders.update / "update.safetensors")
    assert (update["steps"].tolist(), update["layer.weight"].tolist()) == ([3], [[0.75, -0.5]])


def test_update_json_holds_the_claims_that_the_courier_signs(folders: Folders) -> None:
    check(folders)
    file = folders.update / "update.safetensors"
    document = world.update(folders)
    assert document == {
        "samples": 290,
        "withheld": False,
        "tells": False,
        "minCell": 11,
        "sums": document["sums"],
        "digest": digests.file_digest(file),
        "schemaDigest": tensors.layout(file).schema_digest,
        "baseDigest": "sha256:" + "b" * 64,
        "length": file.stat().st_size,
    }
    assert sorted(path.name for path in folders.update.iterdir()) == ["update.json", "update.safetensors"]


def test_the_update_is_canonical_for_every_order_of_the_trainers_tensors(folders: Folders) -> None:
    from safetensors.numpy import save_file

    trained = {**world.MODEL, **{k: v for k, v in TRAINED.items() if v is not None}}
    check(folders)
    expected = (folders.update / "update.safetensors").read_bytes()
    save_file(dict(reversed(trained.items())), folders.out / "model.safetensors", metadata={"format": "pt"})
    check(folders)
    assert (folders.update / "update.safetensors").read_bytes() == expected
    assert tensors.layout(expected).canonical


def test_an_initial_round_sends_weights_and_the_digest_of_the_initial_model(folders: Folders) -> None:
    check(initial(folders))
    assert world.read(folders.update / "update.safetensors")["layer.weight"].tolist() == [[0.75, -0.5]]
    assert world.read(folders.update / "update.safetensors")["input.mean"].tolist() == [14, 55]
    assert world.update(folders)["baseDigest"] == digests.file_digest(folders.base / "model.safetensors")


def test_equal_initial_weights_have_equal_digests_in_every_order(folders: Folders) -> None:
    from safetensors.numpy import save_file

    check(initial(folders))
    canonical = world.update(folders)["baseDigest"]
    save_file(dict(world.MODEL), folders.base / "model.safetensors", metadata={"format": "pt"})
    check(folders)
    assert world.update(folders)["baseDigest"] == canonical


@pytest.mark.parametrize("bits", ["<f8", "<f4"])
def test_every_float_type_is_subtracted_in_its_own_precision(folders: Folders, bits: str) -> None:
    for path, values in ((folders.base, [1.0, -2.0]), (folders.out, [1.5, -2.25])):
        world.model(path / "model.safetensors", {"layer.weight": np.array(values, bits)})
    check(folders)
    update = world.read(folders.update / "update.safetensors")["layer.weight"]
    assert (update.dtype, update.tolist()) == (np.dtype(bits), [0.5, -0.25])


@pytest.mark.parametrize("model", ["initial", "base"])
@pytest.mark.parametrize(("dtype", "bits"), [("F16", "<f2"), ("BF16", "<u2")])
def test_a_model_of_half_precision_is_refused_in_words(folders: Folders, dtype: str, bits: str, model: str) -> None:
    for path in (folders.base, folders.out):
        array = tensors.narrow(np.array([1.0, -2.0]), dtype).view(bits)
        world.model(path / "model.safetensors", {"layer.weight": array}, {"layer.weight": dtype})
    with pytest.raises(PodError, match=rf"^tensor layer\.weight of the {model} model is {dtype}$") as caught:
        check(initial(folders) if model == "initial" else folders)
    assert (caught.value.reason, caught.value.category) == ("HalfPrecision", "Code")
    assert not (folders.update / "update.json").exists()


def test_tensors_larger_than_a_slice_are_complete_in_the_update(folders: Folders) -> None:
    draw = np.random.default_rng(5)
    before = draw.normal(size=700_001).astype(np.float32)
    after = draw.normal(size=700_001).astype(np.float32)
    world.model(folders.base / "model.safetensors", {"layer.weight": before})
    world.model(folders.out / "model.safetensors", {"layer.weight": after})
    check(folders)
    assert (world.read(folders.update / "update.safetensors")["layer.weight"] == after - before).all()


def test_scalars_and_empty_tensors_pass(folders: Folders) -> None:
    odd: dict[str, Array | None] = {
        "layer.weight": np.array(1.0, np.float32),
        "layer.bias": np.empty((0, 3), np.float32),
    }
    world.model(folders.base / "model.safetensors", odd)
    world.model(folders.out / "model.safetensors", odd)
    check(folders)
    assert world.read(folders.update / "update.safetensors")["layer.bias"].shape == (0, 3)


def replace(content: Callable[[Path], Any]) -> Attack:
    def attack(folders: Folders) -> None:
        path = folders.out / "model.safetensors"
        path.unlink(missing_ok=True)
        content(path)

    return attack


def trained(name: str, array: Array | None) -> Attack:
    return lambda folders: void(world.model(folders.out / "model.safetensors", {name: array}))


def void(_: object) -> None:
    return None


def sparse(name: str, size: int) -> Attack:
    return lambda folders: world.sparse(folders.out / name, size)


def header(entries: dict[str, Any], data: bytes = b"", *, claimed: int | None = None) -> Attack:
    text = json.dumps(entries).encode()
    size = len(text) if claimed is None else claimed
    return replace(lambda path: path.write_bytes(size.to_bytes(8, "little") + text + data))


def entry(start: int, stop: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def pipe_in_a_folder(folders: Folders) -> None:
    (folders.out / "state").mkdir()
    os.mkfifo(folders.out / "state" / "pipe")


def deeper_than_a_path(folders: Folders) -> None:
    """Makes folders nested so deep that no path can open the innermost."""
    inside = os.open(folders.out, os.O_RDONLY)
    for _ in range(32):
        os.mkdir("x" * 200, dir_fd=inside)
        outer, inside = inside, os.open("x" * 200, os.O_RDONLY, dir_fd=inside)
        os.close(outer)
    os.close(inside)


ATTACKS: dict[str, tuple[str, Attack]] = {
    "nothing": ("OutputMissing", replace(lambda path: None)),
    "link": ("OutputLink", replace(lambda path: path.symlink_to("../base/model.safetensors"))),
    "link to nothing": ("OutputLink", replace(lambda path: path.symlink_to("/nowhere"))),
    "hard link": ("OutputLink", lambda folders: os.link(folders.out / "model.safetensors", folders.out / "copy")),
    "pipe": ("OutputLink", replace(os.mkfifo)),
    "pipe in a folder": ("OutputLink", pipe_in_a_folder),
    "socket": ("OutputLink", replace(unix_socket)),
    "folders deeper than a path": ("OutputLink", deeper_than_a_path),
    "link beside": ("OutputLink", lambda folders: (folders.out / "latest").symlink_to("model.safetensors")),
    "folder": ("OutputLink", replace(lambda path: path.mkdir())),
    "10 GB": ("OutputTooLarge", sparse("model.safetensors", 10 << 30)),
    "10 GB beside": ("OutputTooLarge", sparse("core", 10 << 30)),
    "twice the base": ("OutputTooLarge", sparse("model.safetensors", 2 << 20)),
    "empty": ("OutputNotSafetensors", replace(lambda path: path.write_bytes(b""))),
    "pickle": ("OutputNotSafetensors", replace(lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(100)))),
    "huge header": ("OutputNotSafetensors", header({}, claimed=1 << 62)),
    "header beyond the file": ("OutputNotSafetensors", header({}, claimed=1000)),
    "header not JSON": (
        "OutputNotSafetensors",
        replace(lambda p: p.write_bytes((8).to_bytes(8, "little") + b"notjson!")),
    ),
    "overlap": ("OutputNotSafetensors", header({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12))),
    "gap": ("OutputNotSafetensors", header({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12))),
    "offset before the data": ("OutputNotSafetensors", header({"a": entry(-4, 4, [2])}, bytes(4))),
    "shape of other size": ("OutputNotSafetensors", header({"a": entry(0, 8, [3])}, bytes(8))),
    "shape that overflows": ("OutputNotSafetensors", header({"a": entry(0, 0, [1 << 32, 1 << 32])})),
    "negative shape": ("OutputNotSafetensors", header({"a": entry(0, 4, [-1, -1])}, bytes(4))),
    "unknown dtype": ("OutputNotSafetensors", header({"a": entry(0, 4, [1], "Q4")}, bytes(4))),
    "trailing bytes": ("OutputNotSafetensors", header({"a": entry(0, 4, [1])}, bytes(8))),
    "deep JSON": (
        "OutputNotSafetensors",
        replace(lambda path: path.write_bytes((200000).to_bytes(8, "little") + b"[" * 200000)),
    ),
    "other dtype": ("TensorsDiffer", trained("layer.weight", np.zeros((1, 2), np.float64))),
    "other shape": ("TensorsDiffer", trained("layer.weight", np.zeros((2, 1), np.float32))),
    "missing tensor": ("TensorsDiffer", trained("layer.bias", None)),
    "extra tensor": ("TensorsDiffer", trained("smuggled", np.zeros(3, np.float32))),
    "NaN": ("NotFinite", trained("layer.weight", np.array([[np.nan, 0]], np.float32))),
    "infinite": ("NotFinite", trained("layer.weight", np.array([[np.inf, 0]], np.float32))),
    "difference overflows": ("NotFinite", lambda folders: overflow(folders)),
    "frozen changed": ("FrozenChanged", trained("input.mean", np.array([14.0, 55.000004], np.float32))),
    "metrics not JSON": ("MetricsInvalid", lambda f: reported(f, "dice: 0.1")),
    "metrics no object": ("MetricsInvalid", lambda f: reported(f, "[]")),
    "metrics without an object": ("MetricsInvalid", lambda f: reported(f, '{"base": [0.1]}')),
    "metric NaN": ("MetricsInvalid", lambda f: reported(f, '{"base":{"dice":NaN}}')),
    "metric text": ("MetricsInvalid", lambda f: reported(f, '{"base":{"dice":"1"}}')),
    "metric flag": ("MetricsInvalid", lambda f: reported(f, '{"base":{"dice":true}}')),
    "metric overflows": ("MetricsInvalid", lambda f: reported(f, '{"base":{"dice":1' + "0" * 400 + "}}")),
    "metrics deep": ("MetricsInvalid", lambda f: reported(f, "[" * 60000)),
    "metrics huge": ("OutputTooLarge", lambda f: reported(f, " " * (1 << 20))),
    "validation link": ("OutputLink", lambda f: validated(f, lambda p: p.symlink_to(f.labels_file))),
    "validation pipe": ("OutputLink", lambda f: validated(f, os.mkfifo)),
    "validation too short": ("PredictionsInvalid", lambda f: validated(f, lambda p: p.write_bytes(bytes(8 * 40 - 1)))),
    "validation too long": ("PredictionsInvalid", lambda f: validated(f, lambda p: p.write_bytes(bytes(8 * 41)))),
    "validation NaN": ("NotFinite", lambda f: validated(f, lambda p: world.probabilities(p, [np.nan] * 40))),
    "validation above one": ("PredictionsInvalid", lambda f: validated(f, lambda p: world.probabilities(p, [2] * 40))),
    "validation huge": ("OutputTooLarge", lambda f: validated(f, lambda p: world.sparse(p, 10 << 30))),
}


def reported(folders: Folders, text: str) -> None:
    """The metrics.json of a round with a metric that Wardround does not compute."""
    declaring(folders, "loss", "dice")
    (folders.out / "metrics.json").write_text(text)


def validated(folders: Folders, write: Callable[[Path], Any]) -> None:
    path = folders.out / "validation.f64"
    path.unlink()
    write(path)


def overflow(folders: Folders) -> None:
    for folder, value in ((folders.base, -3e38), (folders.out, 3e38)):
        world.model(folder / "model.safetensors", {"layer.weight": np.array([value], np.float32)})


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_output_is_refused_with_its_reason(folders: Folders, name: str) -> None:
    reason, attack = ATTACKS[name]
    attack(folders)
    with pytest.raises(PodError) as caught:
        check(folders)
    assert (caught.value.reason, caught.value.category) == (reason, "Code")
    assert not (folders.update / "update.json").exists()


def test_the_sums_are_of_the_base_models_probabilities_over_the_validation_rows(folders: Folders) -> None:
    outcome = check(folders)
    sums = world.sums(folders)
    assert sums is not None
    expected = metric_sums.count([0, 1] * 20, CHANCES, range(40))
    assert sums.people == 40
    assert sums.reported == {}
    assert sums.sums.keys() == layouts.SUMS.keys()
    for name, texts in sums.sums.items():
        assert [float(each) for each in texts] == expected[name].tolist()
    assert len(world.update(folders)["sums"]) < MOST_SUMS
    assert outcome is not None
    own = {each.name: each for each in outcome.metrics or ()}
    assert own.keys() == set(registry.TRAIN)
    assert (own["loss"].people, own["loss"].rows, own["loss"].better) == (40, "Validation", "Lower")
    assert own["loss"].value == text(log_loss([0, 1] * 20, CHANCES), 40)


def test_a_trainer_without_predictions_and_metrics_passes(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    (folders.out / "validation.f64").unlink()
    assert check(folders) is None
    assert world.sums(folders) is None
    assert world.update(folders)["withheld"] is False
    assert "wrote no out/validation.f64" in capsys.readouterr().err


def test_a_metric_that_wardround_computes_is_never_taken_from_the_trainer(folders: Folders) -> None:
    (folders.out / "metrics.json").write_text('{"base":{"loss":0.001,"dice":0.25,"age of patient 4711":64}}')
    check(declaring(folders, "loss", "dice"))
    sums = world.sums(folders)
    assert sums is not None
    assert sums.reported == {"dice": "0.25"}


def test_a_target_that_is_not_binary_has_only_reported_metrics(folders: Folders) -> None:
    document = world.task(metrics=["loss", "mae"])
    del document["schema"]["fields"][2]["categories"]
    world.report(folders, document, samples=290)
    (folders.out / "metrics.json").write_text('{"base":{"loss":0.5,"mae":12.5}}')
    outcome = check(folders)
    sums = world.sums(folders)
    assert sums is not None
    assert (sums.people, sums.sums, sums.reported) == (40, {}, {"loss": "0.5", "mae": "12.5"})
    assert outcome is not None
    assert [(each.name, each.value, each.people) for each in outcome.metrics or ()] == [
        ("loss", "0.5", 40),
        ("mae", "12", 40),
    ]


def test_the_trained_models_metrics_are_not_read(folders: Folders) -> None:
    (folders.out / "metrics.json").write_text('{"trained":{"dice":0.9}}')
    check(declaring(folders, "dice"))
    sums = world.sums(folders)
    assert sums is not None
    assert sums.reported == {}


def test_the_log_names_declared_metrics_that_metrics_json_lacks(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trainer wrote one flat object without `base`. The check passes, and the update has no such metric."""
    (folders.out / "metrics.json").write_text('{"dice": 0.5}')
    check(declaring(folders, "dice"))
    line = "wrote no value under `base` in metrics.json: dice"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other dtype", r"layer\.weight \(expected F32 \[1, 2\]\); extra tensors: 0$"),
        ("extra tensor", "none; extra tensors: 1$"),
        ("unknown dtype", "only F64, F32, F16, BF16, I64, I32, U8, BOOL are supported$"),
    ],
)
def test_the_message_describes_expected_tensors_and_not_the_trainers(folders: Folders, name: str, message: str) -> None:
    ATTACKS[name][1](folders)
    with pytest.raises(PodError, match=message):
        check(folders)


def test_initial_weights_are_checked_like_trained_weights(folders: Folders) -> None:
    initial(folders)
    (folders.base / "model.safetensors").unlink()
    (folders.base / "model.safetensors").symlink_to(folders.out / "model.safetensors")
    with pytest.raises(PodError) as caught:
        check(folders)
    assert caught.value.reason == "OutputLink"


def test_a_missing_base_is_a_platform_failure(folders: Folders) -> None:
    (folders.base / "model.safetensors").unlink()
    with pytest.raises(PodError) as caught:
        check(folders)
    assert (caught.value.category, caught.value.exit_code) == ("Platform", 70)


def test_the_tensors_that_standardise_inputs_are_frozen_in_every_round(folders: Folders) -> None:
    """The patterns of the round's author do not change this."""
    for folder, deviation in ((folders.base, 4.0), (folders.out, 8.0)):
        world.model(folder / "model.safetensors", {"wardround.input.std": np.array([deviation], np.float32)})
    world.report(folders, world.task(exchange={"frozen": []}), samples=290)
    with pytest.raises(PodError) as caught:
        check(folders)
    assert caught.value.reason == "FrozenChanged"


def test_a_frozen_tensor_must_be_equal_bit_by_bit(folders: Folders) -> None:
    for folder, zero in ((folders.base, 0.0), (folders.out, -0.0)):
        world.model(folder / "model.safetensors", {"input.mean": np.array([zero, 1], np.float32)})
    with pytest.raises(PodError) as caught:
        check(folders)
    assert caught.value.reason == "FrozenChanged"


def test_the_message_does_not_repeat_tensor_names_of_the_trainer(folders: Folders) -> None:
    world.model(folders.out / "model.safetensors", {"patient.4711": np.zeros(1, np.float32)})
    with pytest.raises(PodError) as caught:
        check(folders)
    assert "4711" not in caught.value.message


def test_a_failed_check_removes_the_update_of_an_earlier_pod(folders: Folders) -> None:
    check(folders)
    world.model(folders.out / "model.safetensors", {"input.mean": np.zeros(2, np.float32)})
    with pytest.raises(PodError):
        check(folders)
    assert not (folders.update / "update.json").exists()


def test_too_many_output_files_are_refused(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "ENTRIES_LIMIT", 10)
    for number in range(11):
        (folders.out / str(number)).touch()
    with pytest.raises(PodError) as caught:
        check(folders)
    assert caught.value.reason == "OutputTooLarge"
