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

CONTRACT = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text()


def reasons_of_the_contract() -> list[str]:
    """Backticked CamelCase words in the contract's reason lists."""
    lists = re.findall(
        r"^(?:Reasons: |`OutputMissing`|`TensorsDiffer`|Refusals |Aggregation leaves out|\(`NothingTo).*$",
        CONTRACT,
        re.MULTILINE,
    )
    participant = re.findall(r"Ready False reasons: (.*)", CONTRACT)
    words = re.findall(r"`([A-Z][A-Za-z]+)`", "\n".join(lists)) + re.findall(r"[A-Z][A-Za-z]+", "\n".join(participant))
    return sorted({word for word in words if word not in ("Site", "Code", "Platform", "Network")})


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
