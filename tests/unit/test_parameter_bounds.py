"""The default parameter bounds in the CRD, the chart and the documentation are those of `api/site.py`.

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
    """The parameter as one line of YAML."""
    words = [f"name: {parameter.name}"]
    words += [f'{name}: "{bound}"' for name, bound in bounds(parameter)]
    words += [f"enum: [{', '.join(parameter.enum)}]"] if parameter.enum else []
    return f"- {{{', '.join(words)}}}"


def bounds(parameter: AllowedParameter) -> list[tuple[str, str]]:
    both = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return [(name, bound) for name, bound in both.items() if bound is not None]


def row(parameter: AllowedParameter) -> str:
    """The parameter as a row of the documentation's table."""
    values = " or ".join(f"`{word}`" for word in parameter.enum or ())
    numbers = ", ".join(f"{name} {bound}" for name, bound in bounds(parameter))
    return f"| `{parameter.name}` | {values or numbers or 'any value'} |"


@dataclass(frozen=True)
class Place:
    """A copy of the list in a file. `before`: the line before it. `line`: writes one entry. `indent`: in spaces."""

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
def test_every_copy_of_the_list_equals_the_codes(place: Place) -> None:
    path, made = ROOT / place.path, place.text(DEFAULT_PARAMETERS)
    [written] = place.list.findall(path.read_text())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(path.read_text().replace(written, made))
        written = made
    assert written == made


def test_the_yaml_parses_to_the_same_bounds() -> None:
    assert yaml.safe_load(PLACES[0].text(DEFAULT_PARAMETERS)) == codec.dump(DEFAULT_PARAMETERS)


def test_the_defaults_allow_every_trainer_parameter_except_steps() -> None:
    assert READERS.keys() - {each.name for each in DEFAULT_PARAMETERS} == {"steps"}
    assert {each.name for each in DEFAULT_PARAMETERS} < READERS.keys()
