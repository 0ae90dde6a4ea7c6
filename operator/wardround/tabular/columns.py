"""Turns one column of text into values and reports invalid rows, vectorised; knows no file and no split.

Parquet columns become text first. So one set of rules holds: `17.3 mm` and `-999` mean the same in CSV and Parquet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardround.tabular import schema as table
from wardround.tabular.problems import ABOVE, BELOW, MISSING, NOT_IN_ENUM, NOT_OF_TYPE

Mask = npt.NDArray[np.bool_]

EXACT = 2.0**53  # below it, float64 represents every integer exactly


@dataclass(frozen=True)
class Column:
    """A checked column. `numbers`: float64 of shape (rows,), or None for strings. `problems`: a reason and the mask of
    its rows, where `text` and `numbers` have no meaning."""

    text: pa.Array
    numbers: npt.NDArray[np.float64] | None
    problems: tuple[tuple[str, Mask], ...]


def check(raw: pa.Array, field: table.Field, missing_values: tuple[str, ...], *, needed: bool) -> Column:
    """Checks a column of strings. A row gets only the first problem that applies to it."""
    text = pc.utf8_trim_whitespace(raw)
    missing = _mask(pc.or_kleene(pc.is_null(text), pc.is_in(text, pa.array(missing_values, pa.string()))))
    problems = [(MISSING, missing)] if needed or field.required else []
    if field.type == "string":
        wrong = _wrong_texts(text, field)
        numbers = None
    else:
        numbers = _numbers(text, field)
        wrong = _wrong_numbers(numbers, text, field)
    reported = missing
    for reason, mask in wrong:
        problems.append((reason, mask & ~reported))
        reported = reported | mask
    if field.type == "integer":
        text = pc.replace_substring_regex(text, pattern=r"^\+?(-?)0*(\d+)(\.0*)?$", replacement=r"\1\2")
    return Column(text, numbers, tuple(problems))


def as_text(raw: pa.Array, field: table.Field) -> pa.Array:
    """A Parquet column as text. Raises pyarrow.ArrowException for types without text (lists, structs)."""
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if field.type == "date" and pa.types.is_timestamp(raw.type):
        raw = pc.cast(raw, pa.date32(), safe=False)
    if field.type in ("string", "integer") and pa.types.is_floating(raw.type):
        return _whole_as_text(raw.cast(pa.float64()), field)
    return pc.cast(raw, pa.string())


def _whole_as_text(floats: pa.Array, field: table.Field) -> pa.Array:
    """Whole floats as text of integers. Many tools store an integer column with a gap as floats. Arrow would write
    12345678901.0 as 1.2345678901e+10: a gap would give every patient another identifier, and perhaps another side."""
    whole = pc.and_(pc.equal(pc.floor(floats), floats), pc.less(pc.abs(floats), EXACT))
    integers = pc.cast(pc.if_else(whole, floats, None), pa.int64())
    text = pc.if_else(whole, pc.cast(integers, pa.string()), pc.cast(floats, pa.string()))
    # NaN is a gap, too, and not an identifier "nan".
    return pc.if_else(pc.is_nan(floats), None, text) if field.type == "string" else text


def _numbers(text: pa.Array, field: table.Field) -> npt.NDArray[np.float64]:
    """The column as float64. NaN: the text is not of the field's type. Infinite: the number is too large."""
    if field.type == "boolean":
        true, false = (_mask(pc.is_in(text, pa.array(words))) for words in (table.TRUE, table.FALSE))
        return np.where(true, 1.0, np.where(false, 0.0, np.nan))
    if field.type == "date":
        dates = pc.cast(pc.strptime(text, format="%Y-%m-%d", unit="s", error_is_null=True), pa.date32())
        # strptime turns 29 February 2023 into 1 March: a date must read as it was spelt.
        spelt = pc.equal(pc.cast(dates, pa.string()), text)
        return _floats(pc.cast(pc.if_else(spelt, dates, None), pa.int32()))
    if field.unit:
        text = pc.replace_substring_regex(text, pattern=rf"\s*{re.escape(field.unit)}$", replacement="")
    text = pc.replace_substring_regex(text, pattern=r"^\+", replacement="")
    pattern = table.INTEGER if field.type == "integer" else table.NUMBER
    return _floats(pc.cast(pc.if_else(pc.match_substring_regex(text, pattern), text, None), pa.float64()))


def _wrong_numbers(numbers: npt.NDArray[np.float64], text: pa.Array, field: table.Field) -> list[tuple[str, Mask]]:
    with np.errstate(over="ignore"):
        # The view is float32. A number that overflows there would be infinite for the model.
        finite = np.isfinite(numbers.astype(np.float32)) if field.numeric else np.isfinite(numbers)
    wrong = [(NOT_OF_TYPE[field.type], ~finite)]
    if field.minimum is not None:
        wrong.append((BELOW, numbers < field.minimum))
    if field.maximum is not None:
        wrong.append((ABOVE, numbers > field.maximum))
    if field.enum:
        wrong.append((NOT_IN_ENUM, ~np.isin(numbers, np.array(field.enum, np.float64))))
    return wrong


def _wrong_texts(text: pa.Array, field: table.Field) -> list[tuple[str, Mask]]:
    if not field.enum:
        return []
    return [(NOT_IN_ENUM, ~_mask(pc.is_in(text, pa.array(field.enum, pa.string()))))]


def _mask(array: pa.Array) -> Mask:
    mask: Mask = array.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _floats(array: pa.Array) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return floats
