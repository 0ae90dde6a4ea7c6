"""Text that other people have written in objects does not control a terminal, and is not markup, in any command."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tests.unit.cli.required import REQUIRED, RESULT, metric
from wardround.cli import enrolment, explain, results, watch
from wardround.cli.objects import printable

Object = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
# Sets a window's title, a colour, the clipboard and the writing direction; has line breaks and rich's markup.
HOSTILE = (
    "x\x1b]0;title\x07\x1b[31m\x9b2J\x1b]52;c;ZXZpbA==\x07 \u202ereversed\u2066 \r\nround: complete\x08\x7f\u2028 "
    "[/] [bold] [link=https://x]"
)
TIME = "2026-11-24T11:00:00Z"


def condition(kind: str) -> Object:
    return {"type": kind, "status": "True", "reason": HOSTILE, "message": HOSTILE, "lastTransitionTime": TIME}


def item(kind: str, *conditions: str) -> Object:
    """An object with hostile text in every text field."""
    update = {"manifest": "{}", "samples": 3}
    status: Object = {
        "conditions": [condition(each) for each in conditions],
        "attention": [{"participant": HOSTILE, "reason": HOSTILE, "message": HOSTILE}],
        "timeline": [{"stage": HOSTILE, "time": TIME}],
        "result": {
            **RESULT,
            "samples": 3,
            "metrics": [metric(HOSTILE, HOSTILE, model=HOSTILE)],
            "hospitals": [{"name": HOSTILE, "metrics": [{"name": HOSTILE, "value": HOSTILE}]}],
        },
        "update": update,
        "leftOut": {
            "rows": 1,
            "patients": 1,
            "share": HOSTILE,
            "fields": [{"field": HOSTILE, "reason": HOSTILE, "rows": 1}],
        },
        "remarks": [{"reason": HOSTILE, "patients": 1}],
    }
    if "Failed" in conditions and kind != "FederatedRound":
        status["failure"] = {"class": "Site", "reason": HOSTILE, "message": HOSTILE, "exitCode": 1}
    metadata = {"name": HOSTILE, "namespace": HOSTILE, "uid": "u", "creationTimestamp": TIME}
    hostile = {"datasetName": HOSTILE, "displayName": HOSTILE, "metrics": [HOSTILE + "2"]}
    spec = {**REQUIRED[kind], **hostile}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status}


ENDS = [("Complete",), ("Failed",), ("Stalled",), ("Reconciling",)]


def watched(conditions: tuple[str, ...]) -> str:
    shown = watch.view(item("FederatedRound", *conditions), [item("RoundTask", *conditions)], NOW)
    drawn = io.StringIO()
    Console(file=drawn, width=4000, no_color=True).print(watch.table(shown))
    # The frame of the table, and lines as pipes get them.
    return "".join([*watch.lines(None, shown), drawn.getvalue().replace("\n", "")])


def explained(conditions: tuple[str, ...]) -> str:
    round_, task = item("FederatedRound", *conditions), item("RoundTask", *conditions)
    ready = [item(kind, *conditions) for kind in ("Participant", "Site", "Dataset")]
    explanations = [
        explain.explain_round(round_, [task], {}, NOW),
        explain.explain_task(task, None, NOW),
        *(explain.explain_long_lived(each, None, NOW) for each in ready),
    ]
    return "".join(line for each in explanations for line in explain.text(each).split("\n"))


def reported(conditions: tuple[str, ...]) -> str:
    shown = results.results(item("FederatedRound", *conditions), [item("RoundTask", *conditions)])
    drawn = io.StringIO()
    for each in (results.table(shown), results.table_by_hospital(shown)):
        Console(file=drawn, width=4000, no_color=True).print(each)
    texts = (results.text(shown, output, by_hospital=each) for output in ("csv", "json") for each in (True, False))
    return "".join([drawn.getvalue(), *texts]).replace("\n", "")


@pytest.mark.parametrize("conditions", ENDS, ids=lambda conditions: conditions[0])
@pytest.mark.parametrize("show", [watched, explained, reported])
def test_no_shown_text_controls_a_terminal_or_is_markup(
    show: Callable[[tuple[str, ...]], str], conditions: tuple[str, ...]
) -> None:
    shown = show(conditions)
    assert [each for each in shown if not each.isprintable()] == []
    assert "[/] [bold]" in shown
    # On its line: nobody else begins one.
    assert "  round: complete" in shown


def test_enrols_text_about_changes_does_not_control_a_terminal() -> None:
    before: Object = {"metadata": {}, "spec": {"displayName": HOSTILE, "allowedFederations": []}}
    after = enrolment.participant("site-a", "Hospital", [], before)
    [change] = enrolment.changes(before, after)
    assert change.isprintable()


def test_printable_text_stays_unchanged() -> None:
    value: Object = {"name": "Universitätsspital Zürich 病院", "numbers": [1, None, True], "deep": [{"x": "a\tb"}]}
    assert printable(value) == {**value, "deep": [{"x": "a b"}]}
