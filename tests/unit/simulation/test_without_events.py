"""A hospital without a single malignant case trains with the others, by all of Wardround in one process.

Its numbers would be over too few people of a class, so it sends none. The gate says which hospital it has not seen.
"""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path

import pytest

from lab import demo_data
from tests.conditions import condition
from tests.simulation.federation import Federation
from tests.simulation.rounds import OWN, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_gate import LABEL, MODEL, SOON, tables
from tests.unit.simulation.test_model import FEDERATION, model
from wardround.ports import Object

BENIGN = "site-c"
UNSEEN = f"which trained the model and have fewer than minCell people in a class: {BENIGN}."


def without_events(rows: int | None) -> dict[str, demo_data.Table]:
    """The hospitals' tables. The last hospital has benign cases alone: so many, or all that it has."""
    made = tables()
    header, cases = made[BENIGN]
    benign = [each for each in cases if each[header.index(LABEL)] == "0"]
    return {**made, BENIGN: (header, benign[:rows])}


def second_series(rows: int | None, quorum: int) -> tuple[Object, Object, list[Object]]:
    """The model after two series, its second version, and the rounds of the second series."""

    async def main(loop: VirtualLoop) -> tuple[Object, Object, list[Object]]:
        federation = Federation(loop, folder, OWN, 1)

        def series() -> Object:
            status: Object = federation.hub.read(MODEL).get("status") or {}
            return status.get("series") or {}

        async def ended(number: int) -> None:
            def over() -> bool:
                return series().get("number") == number and bool(series().get("version"))

            await federation.until(f"series {number} has a version", over, 3600)

        async with federation.running(without_events(rows)):
            item = model()
            item["spec"]["evaluation"] = {"testRows": False, "quorum": {"min": quorum}}
            federation.apply(item)
            await ended(1)
            federation.hub.change(MODEL, {"spec": {"trigger": SOON}})
            await federation.until("series 2 has begun", lambda: series().get("number") == 2)
            federation.hub.change(MODEL, {"spec": {"trigger": None}})
            await ended(2)
            await asyncio.sleep(10)  # the model tells of the verdict after the version does
            [version] = [
                each for each in federation.hub.select("ModelVersion", FEDERATION) if each["spec"]["version"] == 2
            ]
            rounds = [copy.deepcopy(federation.round(each["name"])) for each in series()["rounds"]]
            return copy.deepcopy(federation.hub.read(MODEL)), copy.deepcopy(version), rounds

    with scratch() as name:
        folder = Path(name)
        return play(main)


def message(item: Object, kind: str) -> str:
    """The message of a condition that is True, and nothing of another one."""
    known = condition(item, kind)
    return f"{known.reason}: {known.message}" if known and known.status == "True" else ""


@pytest.mark.parametrize(
    ("rows", "outcome", "reason"), [(40, "Accepted", "NotWorse"), (None, "Undecided", "TooFewSeen")]
)
def test_the_gate_decides_without_it_only_if_the_others_hold_enough_rows(
    rows: int | None, outcome: str, reason: str
) -> None:
    item, version, rounds = second_series(rows, quorum=2)
    verdict = version["status"]["verdict"]
    assert (verdict["outcome"], verdict["reason"]) == (outcome, reason)
    assert UNSEEN in verdict["message"]
    for each in rounds:
        assert each["status"]["participants"]["sent"] == 3
        assert each["status"]["result"]["withheld"] == 1
        assert "1 hospital withholds its numbers" in message(each, "Complete")
        assert {metric["hospitals"] for metric in each["status"]["result"]["metrics"]} == {2}
    assert (UNSEEN in message(item, "VersionWaits")) == (outcome == "Undecided")


def test_a_quorum_that_counts_on_it_fails_the_comparison_and_says_so() -> None:
    item, version, rounds = second_series(40, quorum=3)
    assert version["status"]["verdict"]["reason"] == "ComparisonFailed"
    cause = "NumbersWithheld: 2 hospitals could be counted, but quorum.min is 3. 1 hospital withholds"
    assert message(rounds[-1], "Failed").startswith(cause)
    waits = message(item, "VersionWaits")
    assert waits.startswith("PeopleDecide: Version 2 is Undecided.")
    assert "(NumbersWithheld)" in waits
