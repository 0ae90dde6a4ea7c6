"""The commands of docs/try.md for a simulation run as they are on the page, and the function returns a DataFrame."""

import sys
from pathlib import Path

from lab.topology import ROOT
from tests.documentation import Shell, section


def test_the_commands_simulate_the_example_rounds(tmp_path: Path) -> None:
    commands, in_python = section("docs/try.md", "Simulate")
    assert "from wardround.simulate import simulate" in in_python.text
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "wardround"
    # As pip would install it.
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wardround "$@"\n')
    program.chmod(0o755)
    reader = tmp_path / "reader"
    reader.mkdir()
    output = Shell(reader, tools, PYTHONPATH=str(ROOT / "operator")).run(commands.text)
    rows = [line.split() for line in output.splitlines() if "own-" in line]
    # Between the cells are lines: round, source, rows, metric, mean, sd, n.
    numbers = {(cells[1], cells[7]): float(cells[9]) for cells in rows}
    assert numbers["own-evaluate", "loss"] < 0.3
    assert numbers["own-evaluate", "auc"] > 0.9
    assert [cells[13] for cells in rows if cells[1] == "own-evaluate"] == ["5"] * 4
