"""A comparison shows the numbers of the round that the command means, and of no other round of its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.api.objects import federated_round
from tests.unit.cli import reported
from wardround.api.modelversion import ModelVersion
from wardround.cli.comparison import check
from wardround.cli.comparison import federated_round as comparing_round
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


def test_models_of_two_schemas_are_not_compared() -> None:
    """Their rows have other columns. The message names the field."""
    one = reported.parsed(reported.objects()).model
    other = replace(one, model=replace(one.model, spec=replace(one.model.spec, schema_name="heart-v2")))
    other = replace(other, versions=tuple(with_round_uid(each, "another") for each in other.versions))
    with pytest.raises(
        CommandError, match=r"because their schemaName differs\. Name two models with the same schemaName\."
    ):
        comparing_round(one, other)


def with_round_uid(version: ModelVersion, uid: str) -> ModelVersion:
    return replace(version, spec=replace(version.spec, round_uid=uid))
