"""Shows the numbers of a model's versions and rounds as a table, CSV or JSON. Pure.

Each number says which object has it, and which model, rows, people and hospitals it is about.
"""

import csv
import io
import json
from typing import Any

from rich.table import Table
from rich.text import Text

from wardround.cli import absent, results
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.plans.model import compared
from wardround.plans.model.versions import without_numbers
from wardround.wire import codec

COLUMNS = ("object", "place", *results.COLUMNS)
NUMBERS = ("value", "people", "hospitals")
BEFORE_TRAINING = (
    "The numbers of a Train round are of the model from which the round started (column model), and not of the model "
    "that the round made."
)


def rows(shown: ModelObjects) -> list[tuple[str, ...]]:
    """In the order of COLUMNS: first the versions, then the rounds in the order in which they ran. Raises CommandError
    if nothing has a number."""
    made: list[tuple[str, ...]] = []
    for version in shown.versions:
        start = (f"modelversion/{version.metadata.name}", shown.version_place(version))
        tested = version.status.test.metrics if version.status.test else ()
        made.extend((*start, *each) for each in results.metric_rows((*version.status.metrics, *tested)))
    for each in shown.rounds:
        if each.status.result is not None:
            start = (f"federatedround/{each.metadata.name}", shown.place(each))
            made.extend((*start, *row) for row in results.result_rows(each.status.result))
    if not made:
        meta = shown.model.metadata
        raise CommandError(
            f"Model {shown.name} has no numbers yet. To see how far it is, or why it waits: kubectl wardround explain "
            f"federatedmodel/{meta.name} -n {meta.namespace}"
        )
    return made


def table(shown: ModelObjects) -> Table:
    """All texts are Text objects, because rich reads brackets in a str as markup."""
    made = Table(title=Text(_title(shown)), title_justify="left")
    listed = rows(shown)
    interval, metric = COLUMNS.index("low"), COLUMNS.index("metric")
    # Only a comparison has a reference.
    last = len(COLUMNS) if any(each[-1] for each in listed) else len(COLUMNS) - 1
    for name in (*COLUMNS[:interval], "95 % interval", *COLUMNS[interval + 2 : last]):
        made.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=name in ("object", "metric"))
    before = ""
    for each in listed:
        low, high = each[interval : interval + 2]
        cells = [*each[:interval], results.interval(each[metric], low, high), *each[interval + 2 : last]]
        if each[0] == before:
            cells[:2] = "", ""
        elif before:
            made.add_section()
        before = each[0]
        made.add_row(*map(Text, cells))
    return made


def notes(shown: ModelObjects) -> list[str]:
    """What the table cannot show: which declared metrics a version lacks, why a version has none, how the versions
    compare on the same people, which model a Train round measures, and that numbers of people are rounded."""
    made = []
    for each in shown.versions:
        names, task = [metric.name for metric in each.status.metrics], shown.measuring_task(each)
        if names and (missing := absent.sentences(shown.model.spec.round.metrics, names, task)):
            made.append(f"modelversion/{each.metadata.name}: {missing}")
        elif unmeasured := without_numbers(each):
            made.append(f"modelversion/{each.metadata.name}: {unmeasured.message}")
    trained = (each.status.result for each in shown.rounds if each.spec.task == "Train")
    before = [BEFORE_TRAINING] if any(result is not None and result.metrics for result in trained) else []
    return [*made, *_compared(shown), *before, results.ROUNDED]


def _compared(shown: ModelObjects) -> list[str]:
    """The models of the newest comparison beside each other. The other numbers of two models may be over different
    rows."""
    for each in reversed(shown.rounds):
        if (result := each.status.result) is not None and result.differences:
            return [
                f"federatedround/{each.metadata.name}: "
                + compared.sentences(result, one, shown.model_name(one.model), shown.model_name(one.reference))
                for one in result.differences
            ]
    return []


def text(shown: ModelObjects, output: results.Format) -> str:
    """The numbers as CSV with a line of names, or as JSON with the fields of the objects' statuses."""
    listed = rows(shown)
    if output == "json":
        return json.dumps(_document(shown), indent=2, ensure_ascii=False) + "\n"
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows((COLUMNS, *listed))
    return file.getvalue()


def _document(shown: ModelObjects) -> dict[str, Any]:
    return {
        "model": shown.name,
        "current": shown.current.spec.version if shown.current else None,
        "versions": [
            {
                **{"name": each.metadata.name, "version": each.spec.version, "series": each.spec.series},
                **{"place": shown.version_place(each), "round": each.spec.round_name, "digest": each.spec.digest},
                **_fields(codec.dump(each.status), ("metrics", "calibration", "verdict", "test")),
            }
            for each in shown.versions
        ],
        "rounds": [
            {
                **{"name": each.metadata.name, "place": shown.place(each), "task": each.spec.task},
                **results.fields(each.status.result),
            }
            for each in shown.rounds
            if each.status.result is not None
        ],
    }


def _fields(dumped: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: dumped.get(name) for name in names}


def _title(shown: ModelObjects) -> str:
    current, series = shown.current, shown.model.status.series
    version = f"current version {current.spec.version}" if current else "no current version"
    return f"{shown.name}, {version}" + (f", series {series.number}" if series else "")
