"""The view of a round: rows, footer, exit code, table and lines."""

import io
from datetime import timedelta

from rich.console import Console

from tests.unit.cli.required import RESULT, metric
from tests.unit.cli.rounds import START, at, condition, round_, task
from wardround.cli import watch


def row(shown: watch.Screen, hospital: str) -> watch.Row:
    return next(each for each in shown.rows if each.hospital == hospital)


def test_a_task_without_an_answer_is_shown_as_unseen() -> None:
    shown = watch.view(round_(), [task("site-a")], START + timedelta(seconds=8))
    assert row(shown, "site-a").stage == "not seen by the site yet"
    assert row(shown, "site-a").duration == "7.0s"
    assert shown.exit_code is None


def test_a_training_hospital_shows_the_duration_of_its_stage() -> None:
    status = {
        "conditions": [condition("Accepted", "True", "Accepted")],
        "timeline": [{"stage": "Accepted", "time": at(2)}, {"stage": "Prepared", "time": at(5)}],
    }
    shown = watch.view(round_(), [task("site-a", status)], START + timedelta(seconds=70))
    assert row(shown, "site-a").stage == "works"
    assert row(shown, "site-a").duration == "1m05s"


def test_waiting_for_approval_is_not_shown_as_a_refusal() -> None:
    """The site reports `Accepted=Unknown`, or `Stalled=True` if the courier asks after the operator has accepted."""
    waiting = task("site-a", {"conditions": [condition("Accepted", "Unknown", "WaitingForApproval")]})
    refused = task("site-b", {"conditions": [condition("Accepted", "False", "TaskNotAllowed")]})
    stalled = [condition("Accepted", "True", "Accepted"), condition("Stalled", "True", "WaitingForApproval")]
    courier = task("site-c", {"conditions": stalled})
    shown = watch.view(round_(), [waiting, refused, courier], START)
    for name in ("site-a", "site-c"):
        assert (row(shown, name).stage, row(shown, name).state) == ("waits for approval", "waiting")
    assert row(shown, "site-b").stage == "refused: TaskNotAllowed"
    assert row(shown, "site-b").state == "failed"


def test_the_newest_attempt_of_a_hospital_is_shown() -> None:
    failed = task(
        "site-a", {"conditions": [condition("Failed", "True")], "failure": {"class": "Platform", "reason": "Evicted"}}
    )
    shown = watch.view(round_(), [task("site-a", attempt=2), failed], START)
    assert [each.stage for each in shown.rows] == ["not seen by the site yet (attempt 2)"]


def test_a_failed_hospital_shows_its_reason() -> None:
    failed = task(
        "site-a", {"conditions": [condition("Failed", "True")], "failure": {"class": "Site", "reason": "ColumnMissing"}}
    )
    assert row(watch.view(round_(), [failed], START), "site-a").stage == "failed: ColumnMissing"


def test_a_suspended_round_shows_no_failed_hospital() -> None:
    cancelled = task("site-a", {"conditions": [condition("Failed", "True", "Cancelled")]})
    status = {
        "conditions": [condition("Reconciling", "True", "Suspended", "Nobody is asked")],
        "timeline": [{"stage": "Dispatched", "time": at(1)}],
    }
    suspended = round_(status)
    suspended["spec"]["suspend"] = True
    shown = watch.view(suspended, [cancelled], START)
    assert watch.lines(None, shown) == ["site-a: called back", "round: suspended"]
    assert row(shown, "site-a").state == "waiting"
    assert shown.exit_code is None


def test_a_suspended_round_that_is_complete_is_shown_as_complete() -> None:
    over = round_({"conditions": [condition("Complete", "True", "Complete")]})
    over["spec"]["suspend"] = True
    assert watch.view(over, [], START).footer.startswith("complete")


def test_a_complete_round_exits_with_0_and_shows_its_duration() -> None:
    done = round_(
        {
            "conditions": [condition("Complete", "True")],
            "participants": {"aggregated": 3},
            "result": {
                **RESULT,
                "samples": 398,
                "metrics": [metric("loss", "0.123"), metric("auc", "0.9")],
                "withheld": 1,
            },
            "timeline": [{"stage": "Complete", "time": at(9.5)}],
        }
    )
    shown = watch.view(done, [], START + timedelta(hours=1))
    assert shown.exit_code == 0
    assert shown.title.endswith("9.5s")
    assert (
        shown.footer
        == "complete, 3 aggregated, 398 samples, 1 withheld, loss=0.123 auc=0.9 of train-5, Validation rows"
    )


def test_a_rounds_duration_starts_when_its_base_is_complete() -> None:
    stages = [{"stage": "Started", "time": at(78)}, {"stage": "Complete", "time": at(89)}]
    done = round_({"conditions": [condition("Complete", "True")], "timeline": stages})
    assert watch.view(done, [], START + timedelta(hours=1)).title.endswith(", 11s")
    assert watch.view(round_(), [], START + timedelta(seconds=20)).title.endswith(", 20s")


def test_a_failed_round_exits_with_1() -> None:
    failed = round_({"conditions": [condition("Failed", "True", "QuorumNotReached", "1 of 2 hospitals sent")]})
    shown = watch.view(failed, [], START)
    assert shown.exit_code == 1
    assert shown.footer == "failed: QuorumNotReached: 1 of 2 hospitals sent"


def test_plain_lines_show_only_changes() -> None:
    first = watch.view(round_(), [task("site-a"), task("site-b")], START)
    sent = {
        "timeline": [{"stage": "Sent", "time": at(8)}],
        "update": {"manifest": "{}", "samples": 12, "withheld": True},
    }
    second = watch.view(round_(), [task("site-a", sent), task("site-b")], START + timedelta(seconds=9))
    assert len(watch.lines(None, first)) == 3
    assert watch.lines(first, second) == ["site-a: sent (samples=12 withheld)"]
    assert watch.lines(second, second) == []


def test_the_table_holds_every_hospital() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(watch.table(watch.view(round_(), [task("site-a"), task("site-b")], START)))
    assert isinstance(console.file, io.StringIO)
    assert "site-a" in console.file.getvalue()
    assert "site-b" in console.file.getvalue()
