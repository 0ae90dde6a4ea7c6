"""The example of a training image: its commands as docs/training-image.md gives them, and what is refused of it."""

import math
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from lab.topology import ROOT
from tests.documentation import Shell, section

EXAMPLE = ROOT / "examples" / "own-image"
TRAINER = "examples/own-image/trainer.py"
NUMBERS = re.compile(r"^[a-z0-9-]+: (\d+) samples, \d+ bytes, (.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    python = Path(sys.executable).parent
    return Shell(tmp_path_factory.mktemp("reader"), python, PYTHONPATH=str(ROOT / "operator"))


@pytest.fixture(scope="module")
def commands() -> str:
    [block] = section("docs/training-image.md", "An image of your own")
    return block.text


@pytest.fixture(scope="module")
def output(shell: Shell, commands: str) -> str:
    """What the page's commands print."""
    return shell.run(commands)


def test_the_example_keeps_the_contract_and_learns_something(output: str) -> None:
    assert re.search(
        r"^data: \d+ rows of \d+ patients are used; left out: [a-z_]+ [A-Z][A-Za-z]+ \d", output, re.MULTILINE
    )
    statistics, first, second, evaluated = NUMBERS.findall(output)
    assert statistics[0] == first[0] == second[0]
    # Each round's metrics are those of its base: of the untrained model, and of the model of the first round.
    losses = [float(yaml.safe_load(metrics)["loss"]) for _, metrics in (first, second)]
    assert losses[0] == pytest.approx(math.log(2), abs=0.01)
    assert losses[1] < 0.3
    assert float(yaml.safe_load(evaluated[1])["auc"]) > 0.9


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize(
    ("there", "instead", "reason"),
    [
        ('model["bias"] -=', 'model["input.mean"] -=', "FrozenChanged: tensor input.mean"),
        ("    save_file(model, OUT / ", "    print(", "OutputMissing"),
        ("    validate(model, task)", "    validate(model)", "TrainerFailed: exit code 1"),
    ],
)
def test_code_that_breaks_the_contract_is_refused_as_a_round_would(
    shell: Shell, commands: str, there: str, instead: str, reason: str
) -> None:
    kept, _, changed = (EXAMPLE / "trainer.py").read_text().partition("def train(")
    assert there in changed
    (shell.folder / "changed.py").write_text(f"{kept}def train({changed.replace(there, instead, 1)}")
    assert TRAINER in commands
    trying = commands.partition("\n")[2].replace(TRAINER, "changed.py").rstrip()
    output = shell.run(f"{trying} 2>&1 || echo exit code $?")
    assert f"refused: train-1: {'train' if 'TrainerFailed' in reason else 'check'}: {reason}" in output
    assert output.endswith("exit code 1\n")


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize(
    ("parameters", "named"),
    [("learnigRate=0.5", "unknown parameter learnigRate;"), ("steps=many", "steps is a whole number")],
)
def test_parameters_that_it_does_not_know_are_refused_by_the_exit_code_for_them(
    shell: Shell, commands: str, parameters: str, named: str
) -> None:
    trying = commands.partition("\n")[2].replace("steps=200", parameters).rstrip()
    output = shell.run(f"{trying} 2>&1 || echo exit code $?")
    assert named in output
    assert "refused: train-1: init: ParametersRefused: exit code 64" in output


REMEMBERS = """
    seen = ROOT / "state" / "in" / "seen"
    names = seen.read_text() if seen.exists() else ""
    print(f"seen by {sys.argv[1]}: {names}")
    if sys.argv[1] == "train":
        name = json.loads((ROOT / "task" / "task.json").read_text())["round"]["name"]
        (ROOT / "state" / "out" / "seen").write_text(f"{names}{name} ")
    elif sys.argv[1] == "predict":
        assert not (ROOT / "state" / "out").exists()
"""


@pytest.mark.usefixtures("output")
def test_the_next_round_and_the_evaluation_find_the_state_of_training(shell: Shell, commands: str) -> None:
    (shell.folder / "remembers.py").write_text((EXAMPLE / "trainer.py").read_text() + REMEMBERS)
    output = shell.run(commands.partition("\n")[2].replace(TRAINER, "remembers.py"))
    seen = re.findall(r"^seen by (\w+): (.*)$", output, re.MULTILINE)
    assert seen == [("init", ""), ("train", ""), ("train", "train-1 "), ("predict", "train-1 train-2 ")]


def test_the_example_writes_a_probability_of_the_base_for_each_validation_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_ROOT", str(tmp_path))
    trainer = runpy.run_path(str(EXAMPLE / "trainer.py"))
    for folder in ("data", "out"):
        (tmp_path / folder).mkdir()
    model = {name: np.ones(1, np.float32) for name in ("input.mean", "input.std", "weight", "bias")}
    task = {"dataset": {"features": ["radius"], "schema": {"target": "malignant"}}}
    rows = pa.table({"radius": pa.array([0.0, 2.0], pa.float32()), "malignant": pa.array([0, 1])})
    for view in (rows, rows[:0]):
        parquet.write_table(view, tmp_path / "data" / "validation.parquet")
        trainer["validate"](model, task)
        written = np.fromfile(tmp_path / "out" / "validation.f64", "<f8")
        assert written == pytest.approx(1 / (1 + np.exp([-0.0, -2.0][: len(view)])))


def test_the_round_of_the_example_names_the_program_that_its_dockerfile_installs() -> None:
    """The pod ignores an ENTRYPOINT, so the example has none."""
    round_ = yaml.safe_load((EXAMPLE / "round.yaml").read_text())
    instructions = (EXAMPLE / "Dockerfile").read_text()
    [program] = re.findall(r"^COPY trainer.py (.*)$", instructions, re.MULTILINE)
    assert round_["spec"]["command"] == ["python", program]
    assert "\nENTRYPOINT" not in instructions
