"""Every reason that can reach a person has an owner and something to do."""

import re
from pathlib import Path

import pytest

from wardround.cli.advice import TABLE, advice_for
from wardround.plans.participant import MESSAGES
from wardround.plans.reasons import ADVICE
from wardround.plans.site import STALLED
from wardround.plans.sitetask import COURIER_FAILURES
from wardround.plans.sitetask_pod import REASONS

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
CONTRACT = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text()
OTHER_WORDS = {"Code"}  # a class of failures, in backticks as reasons are


def reasons_of_the_contract() -> list[str]:
    """Backticked CamelCase words from where reasons begin to where the aggregation's end, and those of Participant."""
    span = CONTRACT[CONTRACT.index("Our containers say why they failed") : CONTRACT.index("PUT grants of a result")]
    [participant] = re.findall(r"Ready False reasons: (.*)", CONTRACT)
    words = re.findall(r"`([A-Z][A-Za-z]+)`", span) + re.findall(r"[A-Z][A-Za-z]+", participant)
    return sorted({*words} - OTHER_WORDS)


def test_the_contract_lists_its_reasons_where_this_test_reads_them() -> None:
    found = reasons_of_the_contract()
    for sample in (
        "ColumnMissing",
        "FrozenChanged",
        "HubUnreachable",
        "Replayed",
        "Altered",
        "InitialWeightsDiffer",
        "NoKeys",
    ):
        assert sample in found


def reasons_of_the_plans() -> list[str]:
    return sorted({*ADVICE, *MESSAGES, *STALLED, *REASONS, *COURIER_FAILURES})


@pytest.mark.parametrize("reason", sorted({*reasons_of_the_contract(), *reasons_of_the_plans()}))
def test_every_reason_of_contract_and_plans_has_advice(reason: str) -> None:
    advice = TABLE[reason]
    assert advice.owner
    assert advice.meaning
    assert advice.action.endswith(".")


def test_an_unknown_reason_is_not_guessed_at() -> None:
    assert "SomethingNew" in advice_for("SomethingNew").meaning


def as_markdown() -> str:
    """The table as docs/operations.md shows it."""
    rows = [
        f"| `{name}` | {TABLE[name].meaning} | {TABLE[name].owner} | {TABLE[name].action} |" for name in sorted(TABLE)
    ]
    return "\n".join(["| reason | means | whose | do |", "|---|---|---|---|", *rows]) + "\n"


def test_the_documentation_says_what_explain_says() -> None:
    assert OPERATIONS.endswith(as_markdown()), "paste what as_markdown() gives to the end of docs/operations.md"
