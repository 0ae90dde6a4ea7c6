"""A parameter that does not fit what earlier rounds have left is named to the round's author. Needs no torch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wardround_trainer import kept
from wardround_trainer.failure import ParametersError


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [({"hidden": "16"}, "hidden"), ({"model": "logistic"}, "model"), ({"model": "mlp", "hidden": "16"}, "hidden")],
)
@pytest.mark.parametrize("verb", ["train", "predict"])
def test_the_author_hears_which_parameter_does_not_fit_the_base(
    site: Any, run: Any, monkeypatch: Any, verb: str, parameters: dict[str, str], refused: str
) -> None:
    log = site.root / "termination-log"
    log.touch()
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(log))
    run(site, "init")
    site.adopt(site.trained)
    site.task(parameters=parameters)
    assert run(site, verb) == 64
    assert site.json("error.json") == {"code": "BaseDiffers"}
    assert json.loads(log.read_text()) == {"parameter": refused}


def test_a_state_of_another_optimizer_is_a_fault_of_the_parameter_that_keeps_it() -> None:
    with pytest.raises(ParametersError) as refusal:
        kept.check(kept.Kept("Adam", {}), "SGD", {}, ())
    assert (refusal.value.code, refusal.value.parameter) == ("StateDiffers", "optimizerState")
