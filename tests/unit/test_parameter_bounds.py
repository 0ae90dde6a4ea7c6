"""What a round may set by default is written in `api/site.py` alone: kind, chart and documentation are made from it.

After an intended change: `UPDATE_GOLDEN=1 pytest tests/unit/test_parameter_bounds.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import yaml

from lab.topology import ROOT
from wardround.api.site import DEFAULT_PARAMETERS, AllowedParameter
from wardround.wire import codec
from wardround_trainer.parameters import READERS


def entry(parameter: AllowedParameter) -> str:
    """As YAML of one line."""
    words = [f"name: {parameter.name}"]
    words += [f'{name}: "{bound}"' for name, bound in bounds(parameter)]
    words += [f"enum: [{', '.join(parameter.enum)}]"] if parameter.enum else []
    return f"- {{{', '.join(words)}}}"


def bounds(parameter: AllowedParameter) -> list[tuple[str, str]]:
    told = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return [(name, bound) for name, bound in told.items() if bound is not None]


def row(parameter: AllowedParameter) -> str:
    """As a row of the documentation's table."""
    values = " or ".join(f"`{word}`" for word in parameter.enum or ())
    numbers = ", ".join(f"{name} {bound}" for name, bound in bounds(parameter))
    return f"| `{parameter.name}` | {values or numbers or 'any'} |"


@dataclass(frozen=True)
class Place:
    """Where the list stands: a line before it, and how each of its lines looks. `indent`: in spaces."""

    path: str
    before: str
    indent: int
    line: Callable[[AllowedParameter], str]

    @property
    def list(self) -> re.Pattern[str]:
        begins = re.escape(self.line(AllowedParameter(name="x"))[:2])
        return re.compile(rf"(?<={re.escape(self.before)})(?:{' ' * self.indent}{begins}.*\n)+")

    def text(self, parameters: Sequence[AllowedParameter]) -> str:
        return "".join(f"{' ' * self.indent}{self.line(each)}\n" for each in parameters)


PLACES = [
    Place("crds/sites.yaml", "                      maxItems: 64\n                      default:\n", 24, entry),
    Place("charts/site/values.yaml", "\n  parameters:\n", 4, entry),
    Place("docs/training-image.md", "| parameter | by default a site allows |\n|---|---|\n", 0, row),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.path)
def test_the_list_stands_there_as_the_code_has_it(place: Place) -> None:
    path, made = ROOT / place.path, place.text(DEFAULT_PARAMETERS)
    [found] = place.list.findall(path.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(path.read_text().replace(found, made))
        found = made
    assert found == made


def test_what_is_written_is_read_as_the_same() -> None:
    assert yaml.safe_load(PLACES[0].text(DEFAULT_PARAMETERS)) == codec.dump(DEFAULT_PARAMETERS)


def test_the_built_in_trainer_knows_each_and_by_default_all_but_one_are_allowed() -> None:
    assert READERS.keys() - {each.name for each in DEFAULT_PARAMETERS} == {"steps"}
    assert {each.name for each in DEFAULT_PARAMETERS} < READERS.keys()
