"""Every reason that can reach a person has an owner and something to do."""

import re
from pathlib import Path

import pytest

from wardround.plans import assignment, participant
from wardround.plans.reasons import RESEARCHERS, TABLE, advice_for, advise
from wardround.plans.site import STALLED
from wardround.plans.sitetask import COURIER_FAILURES, MESSAGES
from wardround.plans.sitetask_pod import REASONS

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
CONTRACT = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text()
OTHER_WORDS = {"Code", "Reconciling", "Failed"}  # a class of failures and conditions, in backticks as reasons are


def reasons_of_the_contract() -> list[str]:
    """Backticked CamelCase words where failures, refusals and waits are said, and those of Participant."""
    spans = [
        ("Our containers say why they failed", "PUT grants of a result"),
        ("The reason of `Reconciling` says", "`isolation` targets"),
    ]
    told = "".join(CONTRACT[CONTRACT.index(begin) : CONTRACT.index(end)] for begin, end in spans)
    [ready] = re.findall(r"Ready False reasons: (.*)", CONTRACT)
    words = re.findall(r"`([A-Z][A-Za-z]+)`", told) + re.findall(r"[A-Z][A-Za-z]+", ready)
    return sorted({*words} - OTHER_WORDS)


def test_the_contract_lists_its_reasons_where_this_test_reads_them() -> None:
    found = reasons_of_the_contract()
    for sample in (
        "ColumnMissing",
        "FrozenChanged",
        "HubUnreachable",
        "Replayed",
        "CommandNotAllowed",
        "JobNotAdmitted",
        "Unschedulable",
        "WorkspaceUnusable",
        "Altered",
        "InitialWeightsDiffer",
        "NoKeys",
    ):
        assert sample in found


def reasons_of_the_plans() -> list[str]:
    return sorted({*assignment.MESSAGES, *participant.MESSAGES, *MESSAGES, *STALLED, *REASONS, *COURIER_FAILURES})


@pytest.mark.parametrize("reason", sorted({*reasons_of_the_contract(), *reasons_of_the_plans()}))
def test_every_reason_of_contract_and_plans_has_advice(reason: str) -> None:
    advice = TABLE[reason]
    assert advice.owner
    assert advice.meaning
    assert advice.action.endswith(".")


def test_an_unknown_reason_is_not_guessed_at() -> None:
    assert "SomethingNew" in advice_for("SomethingNew").meaning
    assert advice_for("SomethingNew", "Code").owner == RESEARCHERS


def test_a_sentence_has_the_names_of_what_it_is_about() -> None:
    told = advise("FederationNotAllowed", "site-a", federation="breast-cancer", dataset="breast")
    assert "namespace breast-cancer" in told
    assert "Participant site-a" in told
    assert "Dataset breast" in advise("DataUnreadable", "site-a", dataset="breast")


def test_a_command_for_a_cluster_names_the_namespace() -> None:
    actions = " ".join(each.action for each in TABLE.values())
    commands = re.findall(r"`(kubectl (?!wardround)[^`]*)`", actions)
    assert len(commands) > 3
    assert [each for each in commands if " -n SITE_NAMESPACE" not in each] == []


def test_a_job_that_was_not_admitted_is_not_taken_for_a_pod_without_memory() -> None:
    told = TABLE["JobNotAdmitted"].action
    assert all(word in told for word in ("ResourceQuota", "admission policy", "chart, CRDs and operator"))
    assert "memory" not in told


def as_markdown() -> str:
    """The table as docs/operations.md shows it."""
    rows = [
        f"| `{name}` | {TABLE[name].meaning} | {TABLE[name].owner} | {TABLE[name].action} |" for name in sorted(TABLE)
    ]
    return "\n".join(["| reason | means | whose | do |", "|---|---|---|---|", *rows]) + "\n"


def test_the_documentation_says_what_explain_says() -> None:
    assert OPERATIONS.endswith(as_markdown()), "paste what as_markdown() gives to the end of docs/operations.md"
