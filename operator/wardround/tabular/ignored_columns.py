"""Says why Wardround ignores a column of a file, and which of these columns a status may name; must not know a row.

In a file without a header, the names of columns are the first patient's values. So a status names a column only if the
file has every column that the Dataset reads: then the first line is a header. A status does not name a column whose
name could be a value: a long one, one that does not begin with a letter or an underscore, or one with a line break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from wardround.tabular.schema import Schema

# A column's name and the reason for which Wardround ignores it.
Column = tuple[str, str]
NOT_IN_SCHEMA, OTHER_COLUMN_MAPPED = "NotInSchema", "OtherColumnMapped"
# The most columns that a status names, and the longest name in characters.
MOST_NAMED, LONGEST_NAME = 16, 64


@dataclass(frozen=True)
class Reason:
    """`meaning`: of the columns that Wardround ignores. `advice`: what a data manager does, as a sentence."""

    meaning: str
    advice: str


REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        NOT_IN_SCHEMA: Reason(
            "neither the DataSchema nor the Dataset names them",
            "If one of these columns has the values of a field under another name, write the column's name into "
            "`from` of this field in spec.fields of the Dataset. If a model should see a column that is no field of "
            "the DataSchema, ask the hub's administrator for a new DataSchema.",
        ),
        OTHER_COLUMN_MAPPED: Reason(
            "the DataSchema has fields of these names, but the Dataset reads these fields from other columns",
            "In spec.fields of the Dataset, `from` of each of these fields names the column from which Wardround "
            "reads the field. If this is the wrong column, correct `from`.",
        ),
    }
)


def columns(header: Iterable[str], schema: Schema) -> tuple[Column, ...]:
    """All ignored columns of a file, in their order. `header`: the names of all its columns."""
    read, fields = {each.column for each in schema.columns}, {field.name for field in schema.fields}
    return tuple(
        (name, OTHER_COLUMN_MAPPED if name in fields else NOT_IN_SCHEMA) for name in header if name not in read
    )


def nameable(header: Sequence[str], schema: Schema) -> tuple[Column, ...]:
    """The ignored columns that a status may name."""
    if not {each.column for each in schema.columns} <= set(header):
        return ()
    return tuple(each for each in columns(header, schema) if _is_name(each[0]))[:MOST_NAMED]


def lines(count: int, named: Sequence[Column]) -> list[str]:
    """All ignored columns in words. `count`: also of those that are not `named`."""
    if not count:
        return []
    rest = [f"  not named here: {count - len(named)}"] if count > len(named) else []
    groups = [f"  {reason} ({REASONS[reason].meaning}): {names}" for reason, names in by_reason(named).items()]
    return [f"ignored columns: {count}", *groups, *rest]


def by_reason(named: Iterable[Column]) -> dict[str, str]:
    """The names of the columns in words, for each reason."""
    groups: dict[str, list[str]] = {}
    for name, reason in named:
        groups.setdefault(reason, []).append(_quoted(name))
    return {reason: ", ".join(names) for reason, names in groups.items()}


def _is_name(text: str) -> bool:
    begins_well = text[:1].isalpha() or text[:1] == "_"
    return begins_well and len(text) <= LONGEST_NAME and text.isprintable()


def _quoted(name: str) -> str:
    """A name whose blanks at an end would not be seen, in quotes."""
    return name if name == name.strip() else f"{name!r}"
