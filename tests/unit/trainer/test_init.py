"""Initial weights have equal bits on every machine, and include the standardisation."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save_file

STATISTICS = {
    "count": np.array([10.0, 10.0, 10.0]),
    "sum": np.array([20.0, -10.0, 0.0]),
    "squares": np.array([80.0, 90.0, 0.0]),
    "shift": np.array([25.0, 0.0, 60.0]),
    "positives": np.array([3.0]),
    "rows": np.array([10.0]),
}


def test_two_sites_with_one_seed_have_equal_initial_weights(make_site: Any, run: Any) -> None:
    first, second = make_site("a"), make_site("b")
    first.task("site-a")
    second.task("site-b")
    assert run(first, "init") == run(second, "init") == 0
    assert first.trained == second.trained


def test_another_seed_gives_other_weights(make_site: Any, run: Any) -> None:
    first, second = make_site("a"), make_site("b")
    second.task(seed=8)
    run(first, "init")
    run(second, "init")
    assert first.trained != second.trained


def test_initial_weights_have_this_digest_on_every_machine(site: Any, run: Any) -> None:
    save_file(STATISTICS, site.root / "base" / "statistics.safetensors")
    run(site, "init")
    digest = hashlib.sha256(site.trained).hexdigest()
    assert digest == "a5c69302982ce98d9639df9a47c35a7e7a447693e8b6435dd6e73412d64920aa"


def test_the_initial_model_is_a_canonical_file(site: Any, run: Any) -> None:
    run(site, "init")
    length = int.from_bytes(site.trained[:8], "little")
    text = site.trained[8 : 8 + length]
    header = json.loads(text)
    assert list(header) == sorted(header)
    assert "__metadata__" not in header
    starts = [entry["data_offsets"][0] for entry in header.values()]
    stops = [entry["data_offsets"][1] for entry in header.values()]
    assert starts == [0, *stops[:-1]]
    assert len(site.trained) == 8 + length + stops[-1]
    spelt = json.dumps(header, separators=(",", ":")).encode()
    assert text == spelt + b" " * (-len(spelt) % 8)


def test_standardisation_comes_from_the_statistics(site: Any, run: Any) -> None:
    save_file(STATISTICS, site.root / "base" / "statistics.safetensors")
    assert run(site, "init") == 0
    tensors = load(site.trained)
    assert tensors["wardround.input.mean"].tolist() == [27.0, -1.0, 60.0]
    # sqrt(80/10 - 2^2), sqrt(90/10 - 1^2), and 1 for a constant feature.
    assert np.allclose(tensors["wardround.input.std"], [2.0, 8**0.5, 1.0])
    assert np.allclose(tensors["output.bias"], np.log(4 / 8))


def test_statistics_of_another_schema_are_refused(site: Any, run: Any, capsys: Any) -> None:
    save_file({**STATISTICS, "count": np.ones(2)}, site.root / "base" / "statistics.safetensors")
    assert run(site, "init") == 1
    assert site.json("error.json") == {"code": "StatisticsDiffer"}
    assert "2 features, but this dataset has 3" in capsys.readouterr().err


def test_logistic_regression_has_only_an_output_layer(site: Any, run: Any) -> None:
    site.task(parameters={"model": "logistic"})
    run(site, "init")
    assert set(load(site.trained)) == {"wardround.input.mean", "wardround.input.std", "output.weight", "output.bias"}


def test_init_does_not_import_torch(site: Any) -> None:
    import os
    import subprocess
    import sys

    script = "import sys; from wardround_trainer.__main__ import main; main(['init']); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "WARDROUND_ROOT": str(site.root), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"learnigRate": "0.1"}, "ParameterUnknown", "unknown parameter learnigRate; known are: batchSize"),
        (
            {"learningRate": "abc"},
            "ParameterInvalid",
            "parameter learningRate is 'abc': it must be a number from 0 to 1000",
        ),
        ({"epochs": "1", "steps": "1"}, "ParameterInvalid", "set epochs or steps, not both"),
    ],
)
def test_refused_parameters_exit_with_64_and_without_a_model(
    site: Any, run: Any, capsys: Any, monkeypatch: Any, parameters: dict[str, str], code: str, message: str
) -> None:
    """The termination message names one parameter, for the round's author."""
    log = site.root / "termination-log"
    log.touch()
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(log))
    site.task(parameters=parameters)
    assert run(site, "init") == 64
    assert json.loads(log.read_text())["parameter"] in parameters
    assert site.json("error.json") == {"code": code}
    assert message in capsys.readouterr().err
    assert not (site.root / "out" / "model.safetensors").exists()


def test_an_unknown_verb_exits_with_1(site: Any, run: Any) -> None:
    assert run(site, "guess") == 1
