"""Training learns, is deterministic, resumes after eviction, and names the fault."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load

torch = pytest.importorskip("torch", reason="torch is only in the trainer image")

from wardround_trainer import data, network, optimise, task  # noqa: E402
from wardround_trainer.batches import batches  # noqa: E402
from wardround_trainer.failure import Interrupted  # noqa: E402
from wardround_trainer.parameters import Parameters  # noqa: E402

FEATURES = ("width", "height", "age")


@pytest.fixture
def ready(site: Any, run: Any) -> Any:
    """A site with data and an initial model as its base."""
    site.views()
    run(site, "init")
    site.adopt(standardised(site.trained))
    return site


@pytest.mark.parametrize("model", [{"model": "logistic"}, {"model": "mlp", "hidden": "8,4"}])
@pytest.mark.parametrize(
    "optimizer", [{"optimizer": "Adam"}, {"optimizer": "SGD", "learningRate": "0.1", "momentum": "0.9"}]
)
def test_training_lowers_the_loss(site: Any, run: Any, model: Any, optimizer: Any) -> None:
    site.views()
    site.task(parameters={**model, **optimizer, "epochs": "30"}, metrics=["loss", "accuracy"])
    run(site, "init")
    site.adopt(standardised(site.trained))
    assert run(site, "train") == 0
    metrics = site.json("metrics.json")
    assert metrics["base"] == pytest.approx(measured(site, site.base))
    assert measured(site, site.trained)["loss"] < 0.6 * metrics["base"]["loss"]
    assert measured(site, site.trained)["accuracy"] > 0.85
    assert metrics["steps"] == 30 * 6
    assert site.json("progress.json") == {"step": 180, "steps": 180}


@pytest.mark.parametrize(("rows", "size"), [(341, 340), (341, 20), (40, 16), (10, 16), (1, 1), (64, 16)])
def test_every_batch_has_at_least_batch_size_rows_and_every_epoch_all_rows(rows: int, size: int) -> None:
    per_epoch = Parameters(batch_size=size).batches(rows)
    steps = list(batches(rows, per_epoch, 7, 0, 2 * per_epoch))
    assert min(map(len, steps)) >= min(size, rows)
    for epoch in (steps[:per_epoch], steps[per_epoch:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(rows))
    resumed = list(batches(rows, per_epoch, 7, per_epoch + per_epoch // 2, 2 * per_epoch))
    assert [each.tolist() for each in resumed] == [each.tolist() for each in steps[per_epoch + per_epoch // 2 :]]


def standardised(model: bytes) -> bytes:
    from safetensors.numpy import save

    return save(
        load(model)
        | {
            "wardround.input.mean": np.array([20, 170, 55], np.float32),
            "wardround.input.std": np.array([5, 9, 12], np.float32),
        }
    )


def measured(site: Any, model: bytes) -> dict[str, float]:
    """The metrics of a model over the validation rows."""
    rows, target = data.features_and_target(site.root / "data" / "validation.parquet", FEATURES, "sick")
    return network.measure(load(model), rows, target)


def test_only_declared_metrics_of_the_base_are_written(ready: Any, run: Any) -> None:
    run(ready, "train")
    assert ready.json("metrics.json").keys() == {"steps", "base"}
    assert set(ready.json("metrics.json")["base"]) == {"loss"}


def test_the_base_models_probabilities_over_the_validation_rows_are_written_in_their_order(
    ready: Any, run: Any
) -> None:
    run(ready, "train")
    assert ready.trained != ready.base
    rows, _ = data.features_and_target(ready.root / "data" / "validation.parquet", FEATURES, "sick")
    odds = network.predict(load(ready.base), rows)
    written = np.fromfile(ready.root / "out" / "validation.f64", "<f8")
    assert written == pytest.approx(1 / (1 + np.exp(-odds)), rel=1e-12)


def test_the_number_of_steps_is_reported_if_the_round_declares_it(ready: Any, run: Any) -> None:
    ready.task(parameters={"epochs": "3", "batchSize": "16"}, metrics=["loss", "steps"])
    assert run(ready, "train") == 0
    written = ready.json("metrics.json")
    assert written["base"]["steps"] == written["steps"] > 3


def test_without_validation_rows_no_metric_is_written(ready: Any, run: Any) -> None:
    """A loss over training rows would be another number under the same name."""
    ready.view("validation", 0)
    assert run(ready, "train") == 0
    assert ready.json("metrics.json")["base"] == {}
    assert (ready.root / "out" / "validation.f64").stat().st_size == 0


def test_frozen_tensors_stay_equal_bit_by_bit(ready: Any, run: Any) -> None:
    ready.task(exchange={"frozen": ["wardround.input.*", "hidden.0.*"]})
    before = load(ready.base)
    assert run(ready, "train") == 0
    after = load(ready.trained)
    same = {name for name in before if before[name].tobytes() == after[name].tobytes()}
    assert same == {"wardround.input.mean", "wardround.input.std", "hidden.0.weight", "hidden.0.bias"}


def test_equal_work_gives_equal_bits_in_every_round_and_at_every_participant(ready: Any, run: Any) -> None:
    results = []
    for participant, name in (("site-a", "train-1"), ("site-a", "train-2"), ("site-b", "train-1")):
        ready.task(participant, round={"name": name, "attempt": 1})
        assert run(ready, "train") == 0
        results.append(ready.trained)
    assert results[0] == results[1] == results[2]


def test_training_computes_with_the_rounds_number_of_threads(ready: Any, run: Any) -> None:
    """The machine's number of cores does not count: sums of floats depend on the number of threads. With another number
    of threads, weights agree to 1e-5."""
    results = []
    for threads in (1, 3, 3):
        ready.task(threads=threads, parameters={"hidden": "512,512", "epochs": "2", "batchSize": "100"})
        (ready.root / "base" / "model.safetensors").unlink(missing_ok=True)
        assert run(ready, "init") == 0
        ready.adopt(standardised(ready.trained))
        assert run(ready, "train") == 0
        assert torch.get_num_threads() == threads
        results.append(ready.trained)
    assert results[1] == results[2]
    one, three = load(results[0]), load(results[1])
    assert all(np.allclose(one[name], three[name], rtol=0, atol=1e-5) for name in one)


def test_equal_rows_with_another_secret_train_in_another_order(
    ready: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub knows the same facts about both hospitals, so it cannot compute the order."""
    orders: list[Any] = []

    def watched(*arguments: int) -> Any:
        taken = list(batches(*arguments))
        orders.append([each.tolist() for each in taken])
        return taken

    monkeypatch.setattr("wardround_trainer.optimise.batches", watched)
    results = []
    for secret in (5, 5, 6):
        ready.task(orderSeed=secret)
        assert run(ready, "train") == 0
        results.append(ready.trained)
    assert orders[0] == orders[1] != orders[2]
    assert results[0] == results[1] != results[2]
    # The first steps differ, although each epoch covers all rows.
    assert orders[0][0] != orders[2][0]


def test_initial_weights_depend_on_the_rounds_seed_only(site: Any, run: Any) -> None:
    made = []
    for secret, seed in ((5, 7), (6, 7), (5, 8)):
        site.task(orderSeed=secret, seed=seed)
        assert run(site, "init") == 0
        made.append(site.trained)
    assert made[0] == made[1] != made[2]


def test_the_log_has_a_line_for_each_epoch_and_no_loss_of_few_rows(
    ready: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.task(parameters={"epochs": "3"})
    run(ready, "train")
    rows = len(parquet.read_table(ready.root / "data" / "train.parquet"))
    *epochs, last = capsys.readouterr().err.splitlines()[-4:]
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(rf"epoch {number} of 3: step \d+ of \d+, mean training loss \d\.\d{{1,6}}", line)
    assert re.fullmatch(rf"train: \d+ steps on {rows} rows", last)

    ready.view("train", 10)
    run(ready, "train")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert [line for line in lines if "loss" in line] == [
        f"epoch {n} of 3: step {n} of 3, too few rows to log their loss" for n in (1, 2, 3)
    ]


def test_zero_epochs_do_not_change_the_model(ready: Any, run: Any) -> None:
    ready.task(parameters={"epochs": "0"})
    assert run(ready, "train") == 0
    assert ready.trained == ready.base
    assert ready.json("metrics.json")["steps"] == 0


@pytest.mark.parametrize(
    ("optimizer", "half"), [("Adam", None), ("SGD", None), ("Adam", torch.bfloat16), ("Adam", torch.float16)]
)
def test_an_evicted_run_resumes_from_its_checkpoint_to_equal_bits(
    ready: Any, run: Any, monkeypatch: pytest.MonkeyPatch, optimizer: str, half: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optimise, "_half", lambda device: half)
    parameters = {"steps": "50", "optimizer": optimizer, **({"momentum": "0.9"} if optimizer == "SGD" else {})}
    ready.task(parameters=parameters)
    run(ready, "train")
    whole = ready.trained

    taken: list[int] = []
    original = getattr(torch.optim, optimizer).step

    def step(self: Any, *arguments: Any, **named: Any) -> Any:
        taken.append(1)
        if len(taken) == 23:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments, **named)

    monkeypatch.setattr(getattr(torch.optim, optimizer), "step", step)
    assert run(ready, "train") == 75
    assert ready.json("error.json") == {"code": "Interrupted"}
    # The next attempt of the same task.
    ready.task(parameters=parameters, round={"name": "train-1", "attempt": 2})
    assert run(ready, "train") == 0
    assert "training continues from step " in capsys.readouterr().err
    # A gradient that overflows float16 takes no step.
    assert len(taken) == 50 or (half is torch.float16 and 40 < len(taken) < 50)
    assert ready.trained == whole


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_mixed_precision_learns_and_returns_float32(
    ready: Any, run: Any, monkeypatch: pytest.MonkeyPatch, half: Any
) -> None:
    """Runs on a CPU, which supports these dtypes, too."""
    ready.task(parameters={"hidden": "8,4", "epochs": "30"}, metrics=["loss"])
    run(ready, "train")
    whole = load(ready.trained)
    monkeypatch.setattr(optimise, "_half", lambda device: half)
    # Another attempt, without a checkpoint.
    assert run(ready, "train") == 0
    mixed = load(ready.trained)
    assert measured(ready, ready.trained)["loss"] < 0.6 * measured(ready, ready.base)["loss"]
    assert any((mixed[name] != whole[name]).any() for name in whole)
    for name, tensor in whole.items():
        assert mixed[name].dtype == tensor.dtype == np.float32
        assert np.allclose(mixed[name], tensor, atol=0.2)


def test_a_checkpoint_of_other_work_is_not_used(ready: Any, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    work = task.read(task.Folders(ready.root))
    rows, target = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    with pytest.raises(Interrupted):
        optimise.train(
            dict(load(ready.base)),
            rows,
            target,
            work.parameters,
            frozen=work.frozen,
            order_seed=1,
            threads=1,
            checkpointing=optimise.Checkpointing(ready.root / "checkpoint" / "checkpoint.pt", "of other work"),
            progress=lambda step, steps: None,
            stopping=lambda: True,
        )
    assert run(ready, "train") == 0
    assert "belongs to other work" in capsys.readouterr().err


def test_training_starts_anew_from_a_broken_checkpoint(ready: Any, run: Any) -> None:
    (ready.root / "checkpoint" / "checkpoint.pt").write_bytes(b"half of one")
    assert run(ready, "train") == 0


def test_the_error_names_an_unknown_parameter(ready: Any, run: Any, capsys: Any) -> None:
    ready.task(parameters={"learnRate": "0.1"})
    assert run(ready, "train") == 64
    assert ready.json("error.json") == {"code": "ParameterUnknown"}
    log = capsys.readouterr().err
    assert "learnRate" in log
    assert "learningRate" in log


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", "-1"), ("learningRate", "nan"), ("hidden", "8,x"), ("optimizer", "sgd")]
)
def test_the_error_names_the_parameter_of_an_invalid_value(
    ready: Any, run: Any, capsys: Any, name: str, value: str
) -> None:
    ready.task(parameters={name: value})
    assert run(ready, "train") == 64
    assert f"parameter {name}" in capsys.readouterr().err


def test_a_base_of_another_shape_than_the_parameters_is_refused(ready: Any, run: Any) -> None:
    ready.task(parameters={"hidden": "16"})
    assert run(ready, "train") == 64
    assert ready.json("error.json") == {"code": "BaseDiffers"}


def test_the_data_error_names_a_missing_column(ready: Any, run: Any, capsys: Any) -> None:
    path = ready.root / "data" / "train.parquet"
    parquet.write_table(parquet.read_table(path).drop_columns(["height"]), path)
    assert run(ready, "train") == 65
    assert ready.json("error.json") == {"code": "ColumnMissing"}
    assert "height" in capsys.readouterr().err


def test_the_data_error_for_a_missing_value_quotes_no_value(ready: Any, run: Any, capsys: Any) -> None:
    import pyarrow as pa

    path = ready.root / "data" / "train.parquet"
    table = parquet.read_table(path)
    broken = pa.array([None, *table.column("age").to_pylist()[1:]], pa.float32())
    parquet.write_table(table.set_column(table.column_names.index("age"), "age", broken), path)
    assert run(ready, "train") == 65
    assert capsys.readouterr().err == "train: ValueMissing: missing or infinite values in column age\n"


def test_numpy_and_torch_give_equal_log_odds(ready: Any) -> None:
    tensors = load(ready.base)
    rows = ready.view("other", 50)
    odds = network.logits({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, torch.from_numpy(rows))
    assert np.allclose(odds.numpy(), network.predict(tensors, rows), rtol=1e-4, atol=1e-4)


def test_predictions_have_the_order_of_the_rows(ready: Any, run: Any) -> None:
    rows = ready.view("evaluation", 70, target=False)
    ready.task(task="Evaluate", parameters={})
    assert run(ready, "predict") == 0
    probabilities = np.fromfile(ready.root / "out" / "predictions.f64", "<f8")
    single = [network.predict(load(ready.base), rows[i : i + 1])[0] for i in range(70)]
    assert np.allclose(probabilities, 1 / (1 + np.exp(-np.array(single))))


def test_training_leaves_only_finished_files_in_out(ready: Any, run: Any) -> None:
    run(ready, "train")
    names = {path.name for path in Path(ready.root / "out").iterdir()}
    assert names == {"model.safetensors", "validation.f64", "metrics.json", "progress.json"}
