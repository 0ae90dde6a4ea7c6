"""A comparison shows the numbers of the round that the command means, and of no other round of its name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.objects import federated_round
from wardround.cli.comparison import check
from wardround.cli.errors import CommandError

ROUND: dict[str, Any] = federated_round(
    "compare-1a2b3c4d", task="Evaluate", initial=None, base={"roundName": "one"}, references=["other"]
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base", {"roundName": "eve"}),
        ("references", ["eve"]),
        ("participants", {"names": ["site-a"]}),
        ("rows", "Test"),
    ],
)
def test_a_round_of_the_name_that_measures_something_else_is_refused(field: str, value: Any) -> None:
    with pytest.raises(CommandError, match=f"its {field} differs from the {field} of this comparison"):
        check({**ROUND, "spec": {**ROUND["spec"], field: value}}, ROUND)


def test_the_round_of_an_earlier_command_is_shown() -> None:
    check({**ROUND, "spec": {**ROUND["spec"], "parameters": {"epochs": "7"}}}, ROUND)
