"""A status names an ignored column with its reason only if the name cannot be a patient's value."""

from __future__ import annotations

import pytest

from tests.unit.tabular.heart import DATASET, SCHEMA
from wardround.tabular import ignored_columns, schema

TABLE = schema.parse(SCHEMA, DATASET)
READ = ("FALL", "ALTER", "GEWICHT", "sex", "smoker", "seen", "ill")


def test_each_ignored_column_has_its_reason() -> None:
    header = (*READ, "notes", "age", "Größe", "_row")
    assert ignored_columns.nameable(header, TABLE) == (
        ("notes", "NotInSchema"),
        ("age", "OtherColumnMapped"),
        ("Größe", "NotInSchema"),
        ("_row", "NotInSchema"),
    )


@pytest.mark.parametrize("missing", READ)
def test_no_column_is_named_if_the_file_lacks_a_column_that_the_dataset_reads(missing: str) -> None:
    header = [*(name for name in READ if name != missing), "notes"]
    assert ignored_columns.nameable(header, TABLE) == ()
    assert ("notes", "NotInSchema") in ignored_columns.columns(header, TABLE)


@pytest.mark.parametrize(
    "name",
    ["", "63", "1949-02-03", " notes", "-", "notes\nAda,63", "a\u0085b", "a\u2028b", "a\u202eb", "a\x1b[2J", "n" * 65],
)
def test_a_name_that_could_be_a_value_or_steer_a_terminal_is_counted_and_not_named(name: str) -> None:
    header = [*READ, name]
    assert len(ignored_columns.columns(header, TABLE)) == 1
    assert ignored_columns.nameable(header, TABLE) == ()


def test_a_status_names_sixteen_columns_and_the_words_say_how_many_more_there_are() -> None:
    header = [*READ, *(f"more{number}" for number in range(20))]
    named = ignored_columns.nameable(header, TABLE)
    assert [name for name, _ in named] == [f"more{number}" for number in range(16)]
    first, words, rest = ignored_columns.lines(20, named)
    assert (first, rest) == ("ignored columns: 20", "  not named here: 4")
    assert words.startswith("  NotInSchema (neither the DataSchema nor the Dataset names them): more0, more1, ")
    assert ignored_columns.lines(0, ()) == []
