"""Columns read by a DataSchema and a Dataset: the vectorised code gives what a slow loop over the rows gives."""

from __future__ import annotations

import datetime
import math
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.tabular.heart import DATASET, SCHEMA, dataset_with, schema_with
from wardround.tabular import columns, schema
from wardround.tabular.schema import Source

TYPES = ("number", "integer", "string", "boolean", "date")
SEEDS = range(200)
Answer = tuple[float | str | None, str]
REASONS = {"number": "NotANumber", "integer": "NotAnInteger", "boolean": "NotABoolean", "date": "NotADate"}


def source_of(name: str, dataset: dict[str, Any] = DATASET, data_schema: dict[str, Any] = SCHEMA) -> Source:
    return next(each for each in schema.parse(data_schema, dataset).sources if each.field.name == name)


def answers(texts: list[str | None], source: Source) -> list[Answer]:
    """For each row its value, or the reason for which it is left out."""
    checked = columns.check(pa.array(texts, pa.string()), source, needed=True)
    values = checked.text.to_pylist() if checked.numbers is None else checked.numbers.tolist()
    result: list[Answer] = [(value, "") for value in values]
    for reason, mask in checked.problems:
        for row in np.flatnonzero(mask):
            assert result[row][1] == "", "a row has one reason"
            result[row] = (None, reason)
    return result


# The slow loop


def row_by_row(text: str | None, source: Source, local: dict[str, Any], field: dict[str, Any]) -> Answer:
    """What a row says, by the objects as people write them."""
    kind = field["type"]
    text = "" if text is None else text.strip()
    missing = [each.strip() for each in (*DATASET["missingValues"], *local.get("missingValues", ()))]
    if text in missing or (kind in ("number", "integer") and _plain(text) in [_plain(each) for each in missing]):
        return None, "Missing"
    names = {_same(kind, each["from"].strip()): each["name"] for each in local.get("categories", ())}
    if names:
        if _same(kind, text) in names:
            text = names[_same(kind, text)]
        elif _same(kind, text) in [_same(kind, each) for each in names.values()]:
            return None, "NotInEnum"
    value = _value(text, source, kind, field)
    if value is None:
        return None, REASONS[kind]
    if "minimum" in field and value < _bound(kind, field["minimum"]):
        return None, "BelowMinimum"
    if "maximum" in field and value > _bound(kind, field["maximum"]):
        return None, "AboveMaximum"
    if "categories" in field and value not in [_bound(kind, each) for each in field["categories"]]:
        return None, "NotInEnum"
    return value, ""


def _plain(text: str) -> str:
    """An integer without sign, zeros and fraction that say nothing."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text.removeprefix("+"))
    whole, _, fraction = digits.partition(".")
    if whole.isascii() and whole.isdigit() and not fraction.strip("0"):
        number = whole.lstrip("0") or "0"
        return number if number == "0" else sign + number
    return text


def _same(kind: str, text: str) -> str:
    if kind in ("number", "integer"):
        return _plain(text)
    if kind == "boolean":
        return {"1": "true", "0": "false"}.get(
            text, text.lower() if text in ("True", "TRUE", "False", "FALSE") else text
        )
    return text


def _value(text: str, source: Source, kind: str, field: dict[str, Any]) -> Any:
    if kind == "string":
        return text
    if kind == "boolean":
        return {"true": 1.0, "false": 0.0}.get(_same(kind, text))
    if kind == "date":
        return _date(text)
    if field.get("unit") and not source.converts:
        text = text.removesuffix(field["unit"]).rstrip()
    if not text or not set(text) <= set("0123456789+-.eE"):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if kind == "integer" and not source.converts and not _plain(text).lstrip("-").isdigit():
        return None
    number = number * source.scale + source.offset
    if kind == "integer" and source.converts:
        if not math.isclose(number, round(number), rel_tol=1e-12, abs_tol=1e-12 * abs(source.offset)):
            return None
        number = round(number)
    return number if abs(number) < float(np.finfo(np.float32).max) else None


def _date(text: str) -> float | None:
    try:
        date = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()
    except ValueError:
        return None
    return float((date - datetime.date(1970, 1, 1)).days) if date.isoformat() == text else None


def _bound(kind: str, text: str) -> Any:
    return text if kind == "string" else _date(text) if kind == "date" else float(text)


# What is drawn


def drawn_field(draw: random.Random, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A field of a DataSchema, and what a Dataset says of it."""
    field: dict[str, Any] = {"name": "x", "type": kind}
    local: dict[str, Any] = {"name": "x", "from": draw.choice(["x", "SPALTE"])}
    if kind in ("number", "integer", "date") and draw.random() < 0.5:
        low, high = ("2020-01-01", "2024-02-29") if kind == "date" else ("-3", "40")
        field |= draw.choice([{"minimum": low}, {"maximum": high}, {"minimum": low, "maximum": high}])
    if kind in ("number", "integer") and draw.random() < 0.5:
        field["unit"] = draw.choice(["mm", "1/min", "m.s"])
    names = {"string": ["left", "right"], "integer": ["0", "1", "2"], "boolean": ["true", "false"]}.get(kind, [])
    if names and draw.random() < 0.6:
        if kind != "boolean":
            field["categories"] = names
        if draw.random() < 0.7:
            words = draw.sample(["l", "r", "ja", "1", "2", "3", "1.0", "left", "right", "true"], len(names))
            local["categories"] = [{"name": name, "from": word} for name, word in zip(names, words, strict=True)]
    elif kind in ("number", "integer") and draw.random() < 0.6:
        # Whole numbers: a product that is rounded lies on no bound by chance.
        local |= {"scale": draw.choice(["2", "-1", "10", "0.5", "1"]), "offset": draw.choice(["0", "3", "-32", "0.5"])}
    if draw.random() < 0.3:
        local["missingValues"] = draw.choice([["-1"], ["-999", "?"], [" unknown "]])
    return field, local


def drawn_text(draw: random.Random) -> str | None:
    words = [
        *(
            "",
            " ",
            "NA",
            "?",
            "unknown",
            "-1",
            "-1.0",
            "-999",
            "-999.00",
            "left",
            "right",
            "l",
            "r",
            "ja",
            "true",
            "TRUE",
        ),
        *(
            "True",
            "false",
            "FALSE",
            "yes",
            "1.0",
            "0",
            "00",
            "007",
            "+7",
            "-0",
            "7.",
            ".5",
            "5e1",
            "1e40",
            "-1e40",
            "nan",
        ),
        *("inf", "1,5", "1_000", "17.3", "17.3 mm", "17mm", "12 1/min", "1 m.s", "1 mxs", "2023-02-29", "2024-02-29"),
        *("2024-2-29", "29.02.2024", "1990-01-01", "2025-01-01", "٣", "x"),
    ]
    text = draw.choice([*words, str(draw.randrange(-5, 50)), f"{draw.uniform(-5, 50):.2f}"])
    return None if draw.random() < 0.02 else draw.choice(["", " "]) + text + draw.choice(["", "  "])


@pytest.mark.parametrize("kind", TYPES)
def test_columns_equal_a_loop_over_the_rows(kind: str) -> None:
    reasons_seen = set()
    for seed in SEEDS:
        draw = random.Random(f"{kind} {seed}")
        field, local = drawn_field(draw, kind)
        ends = [{"name": "ill", "type": "boolean"}, {"name": "age", "type": "number"}]
        document = {"fields": [field, *ends], "target": "ill"}
        dataset = {**DATASET, "fields": [local]}
        try:
            source = source_of("x", dataset, document)
        except schema.SchemaInvalid:
            continue  # two local names of one category, for example
        texts = [drawn_text(draw) for _ in range(60)]
        expected = [row_by_row(text, source, local, field) for text in texts]
        answered = answers(texts, source)
        assert answered == expected, (field, local)
        reasons_seen |= {reason for _, reason in answered}
    assert {"", "Missing"} < reasons_seen


def test_most_drawn_fields_are_valid() -> None:
    """Otherwise the test above shows nothing."""
    valid = 0
    for seed in SEEDS:
        field, local = drawn_field(random.Random(f"integer {seed}"), "integer")
        document = {"fields": [field, {"name": "ill", "type": "boolean"}], "target": "ill"}
        try:
            schema.parse(document, {**DATASET, "fields": [local]})
        except schema.SchemaInvalid:
            continue
        valid += 1
    assert valid > len(SEEDS) / 2


# Cases that a person should read


def test_a_value_is_converted_before_its_bounds() -> None:
    source = source_of("weight", data_schema=schema_with("weight", minimum="40", maximum="150"))
    answered = answers(["81500", "39999", "151000", "40000"], source)
    assert answered == [(81.5, ""), (None, "BelowMinimum"), (None, "AboveMaximum"), (40.0, "")]


def test_a_value_on_a_bound_is_kept_although_multiplying_rounds() -> None:
    assert 3 * 0.1 > 0.3
    bounds = {"minimum": "0.3", "maximum": "0.3"}
    assert answers(
        ["3"], source_of("weight", dataset_with("weight", scale="0.1"), schema_with("weight", **bounds))
    ) == [(3 * 0.1, "")]
    fahrenheit = dataset_with("weight", scale="0.5555555555555556", offset="-17.77777777777778")
    assert [reason for _, reason in answers(["32", "31.9"], source_of("weight", fahrenheit))] == ["", "BelowMinimum"]


def test_an_integer_is_whole_after_its_conversion() -> None:
    answered = answers(["30", "24.5", "2.04", "x"], source_of("age", dataset_with("age", scale="10")))
    assert answered == [(None, "AboveMaximum"), (None, "AboveMaximum"), (None, "NotAnInteger"), (None, "NotAnInteger")]
    assert answers(["6.6"], source_of("age", dataset_with("age", scale="10"))) == [(66.0, "")]
    assert answers(["792"], source_of("age", dataset_with("age", scale="0.08333333333333333"))) == [(66.0, "")]


def test_the_fields_unit_behind_a_number_in_another_unit_is_refused() -> None:
    """81.5 kg in a column of grams is 81.5 kg, or 0.0815 kg: nobody knows."""
    assert answers(["81.5 kg"], source_of("weight")) == [(None, "NotANumber")]
    assert answers(["81.5 kg"], source_of("weight", dataset_with("weight", scale=None))) == [(81.5, "")]


def test_a_category_is_known_by_its_local_names_alone() -> None:
    """A column of 1 and 2 in which somebody has written 0."""
    assert answers(["1", "2", "2.0", "0", "3"], source_of("ill")) == [
        *[(0.0, ""), (1.0, ""), (1.0, "")],
        *[(None, "NotInEnum"), (None, "NotInEnum")],
    ]
    assert answers(["w", "m", "female", "d"], source_of("sex")) == [
        *[("female", ""), ("male", "")],
        *[(None, "NotInEnum"), (None, "NotInEnum")],
    ]


def test_a_boolean_written_as_1_0_is_named_and_may_be_a_local_name() -> None:
    assert answers(["1.0", "ja"], source_of("smoker")) == [(None, "NotABoolean"), (None, "NotABoolean")]
    pairs = [{"name": "true", "from": "1.0"}, {"name": "true", "from": "ja"}, {"name": "false", "from": "0.0"}]
    local = source_of("smoker", dataset_with("smoker", categories=pairs))
    assert answers(["1.0", "ja", "0.0", "1"], local) == [(1.0, ""), (1.0, ""), (0.0, ""), (None, "NotInEnum")]


@pytest.mark.parametrize(("kind", "same"), [("string", 1), ("integer", 3)])
def test_the_type_of_the_identifier_decides_which_texts_are_one_patient(kind: str, same: int) -> None:
    table = schema.parse(SCHEMA, {**DATASET, "identifier": {"column": "FALL", "type": kind}})
    checked = columns.check(
        pa.array(["007", " 007 ", "7", "+7.0", "-0", "0", "12345678901234567890"]), table.identifier, needed=True
    )
    texts = checked.text.to_pylist()
    assert texts[0] == texts[1] == ("007" if kind == "string" else "7")
    assert len({*texts[1:4]}) == 4 - same
    assert (texts[4] == texts[5]) is (kind == "integer")
    assert texts[6] == "12345678901234567890"
    assert not any(mask.any() for _, mask in checked.problems)


@pytest.mark.parametrize("kind", ["string", "integer"])
def test_an_identifier_stored_as_a_decimal_is_the_same_patient(kind: str) -> None:
    """Some databases export whole numbers as decimals with a fraction of zeros."""
    table = schema.parse(SCHEMA, {**DATASET, "identifier": {"column": "FALL", "type": kind}})
    stored = pa.array([Decimal("7.00"), Decimal("120.00"), None], pa.decimal128(12, 2))
    texts = columns.as_text(stored, table.identifier.field)
    checked = columns.check(texts, table.identifier, needed=True)
    assert checked.text.to_pylist()[:2] == ["7", "120"]
