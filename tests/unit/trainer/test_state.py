"""The parameter optimizerState: whether an optimizer's state is kept from round to round at its hospital."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

torch = pytest.importorskip("torch", reason="torch is only in the trainer image")

MOMENTUM = {"optimizer": "SGD", "learningRate": "0.1", "momentum": "0.9"}
STANDARD = {
    "wardround.input.mean": np.array([20, 170, 55], np.float32),
    "wardround.input.std": np.array([5, 9, 12], np.float32),
}
ADAM = {"optimizer": "Adam"}
KEEP = {"optimizerState": "keep"}


@pytest.fixture
def ready(site: Any, run: Any) -> Any:
    """A site with data and an initial model as its base."""
    site.views()
    return begun(site, run)


def begun(site: Any, run: Any) -> Any:
    run(site, "init")
    site.adopt(save(load(site.trained) | STANDARD))
    return site


@pytest.fixture
def one_row(site: Any, run: Any) -> Any:
    """A site with one row, so that several rounds have the same batches as one long training."""
    site.view("train", 1, seed=1)
    site.view("validation", 10, seed=2)
    return begun(site, run)


def train(site: Any, run: Any, name: str, parameters: Any) -> bytes:
    site.task(parameters=parameters, round={"name": name, "attempt": 1})
    assert run(site, "train") == 0
    return bytes(site.trained)


def rounds(site: Any, run: Any, parameters: Any, count: int = 5) -> bytes:
    """Runs `count` rounds, each from the result of the round before. Returns the last model."""
    for number in range(count):
        if number:
            state = site.root / "state" / "out" / "optimizer.safetensors"
            site.next_round(state.read_bytes() if state.exists() else None)
        train(site, run, f"train-{number}", parameters)
    return bytes(site.trained)


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM], ids=["Adam", "momentum"])
def test_only_rounds_that_keep_the_state_equal_one_long_training(
    one_row: Any, run: Any, optimizer: dict[str, str]
) -> None:
    first = one_row.base
    whole = train(one_row, run, "long", {**optimizer, **KEEP, "steps": "20"})
    state = load(one_row.state)

    one_row.next_round(None)
    one_row.adopt(first)
    assert rounds(one_row, run, {**optimizer, **KEEP, "steps": "4"}) == whole
    kept = load(one_row.state)
    assert kept.keys() == state.keys()
    assert all(kept[name].tobytes() == state[name].tobytes() for name in state)

    one_row.next_round(None)
    one_row.adopt(first)
    assert rounds(one_row, run, {**optimizer, "steps": "4"}) != whole


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM], ids=["Adam", "momentum"])
def test_without_the_parameter_no_state_is_read_or_written(ready: Any, run: Any, optimizer: dict[str, str]) -> None:
    trained = train(ready, run, "train-1", {**optimizer, **KEEP, "epochs": "1"})
    ready.next_round(ready.state)
    second = train(ready, run, "train-2", {**optimizer, **KEEP, "epochs": "1"})

    ready.next_round(ready.state)
    for parameters in ({}, {"optimizerState": "reset"}):
        ready.adopt(trained)
        (ready.root / "state" / "out" / "optimizer.safetensors").unlink(missing_ok=True)
        anew = train(ready, run, "train-2", {**optimizer, **parameters, "epochs": "1"})
        assert anew != second
        assert not list((ready.root / "state" / "out").iterdir())


def test_without_an_earlier_state_keep_trains_like_reset(
    ready: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(ready, run, "train-1", KEEP) == train(ready, run, "train-1", {})
    assert "state: no earlier round has left a state here" in capsys.readouterr().err


def test_an_evicted_run_leaves_the_same_state(ready: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = {**ADAM, **KEEP, "steps": "50"}
    train(ready, run, "train-1", parameters)
    before = ready.state
    ready.next_round(before)
    whole, state = train(ready, run, "train-2", parameters), ready.state

    (ready.root / "state" / "out" / "optimizer.safetensors").unlink()
    taken: list[int] = []
    original = torch.optim.Adam.step

    def step(self: Any, *arguments: Any, **named: Any) -> Any:
        taken.append(1)
        if len(taken) == 23:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    ready.task(parameters=parameters, round={"name": "train-2", "attempt": 1})
    assert run(ready, "train") == 75
    assert not list((ready.root / "state" / "out").iterdir())
    ready.task(parameters=parameters, round={"name": "train-2", "attempt": 2})
    assert run(ready, "train") == 0
    assert len(taken) == 50
    assert (ready.trained, load(ready.state).keys()) == (whole, load(state).keys())
    assert all(load(ready.state)[name].tobytes() == array.tobytes() for name, array in load(state).items())


def test_a_round_without_a_step_passes_the_state_on(ready: Any, run: Any) -> None:
    train(ready, run, "train-1", KEEP)
    before = ready.state
    ready.next_round(before)
    base = ready.base
    assert train(ready, run, "train-2", {**KEEP, "steps": "0"}) == base
    assert ready.json("metrics.json")["steps"] == 0
    assert all(load(ready.state)[name].tobytes() == array.tobytes() for name, array in load(before).items())


@pytest.mark.parametrize(
    ("parameters", "exchange", "words"),
    [
        ({"optimizer": "SGD", "momentum": "0.9"}, ["wardround.input.*"], "is for Adam, but this round uses SGD"),
        ({}, ["wardround.input.*", "hidden.0.*"], "has a hidden.0.bias/exp_avg"),
    ],
)
def test_a_state_of_other_work_is_refused_with_the_difference(
    ready: Any, run: Any, capsys: Any, parameters: dict[str, str], exchange: list[str], words: str
) -> None:
    train(ready, run, "train-1", KEEP)
    ready.next_round(ready.state)
    ready.task(parameters={**KEEP, **parameters}, exchange={"frozen": exchange})
    assert run(ready, "train") == 64
    assert ready.json("error.json") == {"code": "StateDiffers"}
    log = capsys.readouterr().err
    assert words in log
    assert "set optimizerState to reset" in log


def test_a_state_with_momentum_is_refused_without_momentum(ready: Any, run: Any) -> None:
    train(ready, run, "train-1", {**MOMENTUM, **KEEP})
    ready.next_round(ready.state)
    ready.task(parameters={**MOMENTUM, **KEEP, "momentum": "0"})
    assert run(ready, "train") == 64
    assert ready.json("error.json") == {"code": "StateDiffers"}


def test_a_state_for_another_model_is_refused(ready: Any, run: Any, capsys: Any) -> None:
    train(ready, run, "train-1", KEEP)
    state = ready.state
    ready.task(parameters={"hidden": "16,4"})
    run(ready, "init")
    ready.next_round(state)
    ready.task(parameters=KEEP)
    assert run(ready, "train") == 64
    assert ready.json("error.json") == {"code": "StateDiffers"}
    assert "as float32[8], not float32[16]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"half of one", 1, "StateUnreadable"),
        (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07pickled\x94.", 1, "StateUnreadable"),
        (save({"head.weight": np.zeros(3, np.float32)}), 64, "StateDiffers"),
    ],
    ids=["broken", "pickle", "another image's"],
)
def test_a_malformed_or_foreign_state_is_refused(ready: Any, run: Any, content: bytes, status: int, code: str) -> None:
    ready.task(parameters=KEEP)
    (ready.root / "state" / "in" / "optimizer.safetensors").write_bytes(content)
    assert run(ready, "train") == status
    assert ready.json("error.json") == {"code": code}


def test_a_missing_state_folder_fails_before_training(ready: Any, run: Any, capsys: Any) -> None:
    (ready.root / "state" / "out").rmdir()
    ready.task(parameters=KEEP)
    (ready.root / "out" / "model.safetensors").unlink()
    assert run(ready, "train") == 1
    assert ready.json("error.json") == {"code": "StateMissing"}
    assert "this pod has no folder state/out" in capsys.readouterr().err


def test_an_optimizer_without_state_writes_no_file(ready: Any, run: Any) -> None:
    train(ready, run, "train-1", {"optimizer": "SGD", **KEEP})
    assert not list((ready.root / "state" / "out").iterdir())


def test_an_evaluation_reads_no_state(ready: Any, run: Any) -> None:
    (ready.root / "state" / "in" / "optimizer.safetensors").write_bytes(b"of no interest")
    (ready.root / "state" / "out").rmdir()
    ready.view("evaluation", 20, target=False)
    ready.task(task="Evaluate", parameters={})
    assert run(ready, "predict") == 0
