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

from wardround.tabular import dataschema
from wardround.tabular.dataschema import Field
from wardround.tabular.problems import ABOVE, BELOW, MISSING, NOT_IN_ENUM, NOT_OF_TYPE
from wardround.tabular.schema import Source, spelling

Mask = npt.NDArray[np.bool_]

EXACT = 2.0**53  # below it, float64 represents every integer exactly
# The same for floats of 16, 32 and 64 bits.
EXACT_BELOW = {16: 2.0**11, 32: 2.0**24, 64: EXACT}
# Multiplying rounds: 3 x 0.1 is not 0.3. A converted value may miss a bound or a whole number by this share.
ROUNDING = 1e-12
# `spelling` as a pattern: an integer without plus, leading zeros and a fraction of zeros.
WHOLE = r"^\+?(-?)0*(\d+)(\.0*)?$"


@dataclass(frozen=True)
class Column:
    """A checked column. `numbers`: float64 of shape (rows,), or None for strings. `problems`: a reason and the mask of
    its rows, where `text` and `numbers` have no meaning."""

    text: pa.Array
    numbers: npt.NDArray[np.float64] | None
    problems: tuple[tuple[str, Mask], ...]


def check(raw: pa.Array, source: Source, *, needed: bool) -> Column:
    """Checks a column of strings. A row gets only the first problem that applies to it."""
    field = source.field
    text = pc.utf8_trim_whitespace(raw)
    missing = _missing(text, source)
    problems = [(MISSING, missing)] if needed or field.required else []
    wrong = []
    if source.categories:
        text, unlisted = _with_categories(text, source)
        wrong.append((NOT_IN_ENUM, unlisted))
    numbers = None
    if field.type == "string":
        wrong += _wrong_texts(text, field)
    else:
        numbers = _numbers(text, source)
        wrong += _wrong_numbers(numbers, source)
    reported = missing
    for reason, mask in wrong:
        problems.append((reason, mask & ~reported))
        reported = reported | mask
    if field.type == "integer":
        text = _spelt(text, field)
    return Column(text, numbers, tuple(problems))


def as_text(raw: pa.Array, field: Field, *, identifier: bool = False) -> pa.Array:
    """A Parquet column as text. Raises pyarrow.ArrowException for types without text (lists, structs).

    `identifier`: the column identifies the patients. A float that may be a rounded whole number is then null, because
    several patients may have been rounded to it.
    """
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if field.type == "date" and pa.types.is_timestamp(raw.type):
        raw = pc.cast(raw, pa.date32(), safe=False)
    if field.type in ("string", "integer") and pa.types.is_floating(raw.type):
        floats = raw.cast(pa.float64())
        if identifier:
            floats = pc.if_else(pc.less(pc.abs(floats), EXACT_BELOW[raw.type.bit_width]), floats, None)
        return _whole_as_text(floats, field)
    if field.type in ("string", "integer") and pa.types.is_decimal(raw.type):
        # A database may export whole numbers as 7.00.
        return pc.replace_substring_regex(pc.cast(raw, pa.string()), pattern=r"\.0+$", replacement="")
    return pc.cast(raw, pa.string())


def _whole_as_text(floats: pa.Array, field: Field) -> pa.Array:
    """Whole floats as text of integers. Many tools store an integer column with a gap as floats. Arrow would write
    12345678901.0 as 1.2345678901e+10: a gap would give every patient another identifier, and perhaps another side."""
    whole = pc.and_(pc.equal(pc.floor(floats), floats), pc.less(pc.abs(floats), EXACT))
    integers = pc.cast(pc.if_else(whole, floats, None), pa.int64())
    text = pc.if_else(whole, pc.cast(integers, pa.string()), pc.cast(floats, pa.string()))
    # NaN is a gap, too, and not an identifier "nan".
    return pc.if_else(pc.is_nan(floats), None, text) if field.type == "string" else text


def _missing(text: pa.Array, source: Source) -> Mask:
    """The rows without a value. In numbers, -999.0 is missing where -999 is."""
    words = pa.array(source.missing_values, pa.string())
    missing = _mask(pc.or_kleene(pc.is_null(text), pc.is_in(text, words)))
    kind = source.field.type
    whole = [spelling(kind, each) for each in source.missing_values if re.fullmatch(WHOLE, each)]
    if source.field.numeric and whole:
        missing |= _mask(pc.is_in(_spelt(text, source.field), pa.array(whole, pa.string())))
    return missing


def _with_categories(text: pa.Array, source: Source) -> tuple[pa.Array, Mask]:
    """The text with categories in place of their local names, and the rows that spell a category by a name that is not
    used in this file."""
    local, categories = (pa.array(each, pa.string()) for each in zip(*source.categories, strict=True))
    spelt = _spelt(text, source.field)
    place = pc.index_in(spelt, local)
    known = pc.is_valid(place)
    unlisted = _mask(pc.and_(pc.invert(known), pc.is_in(spelt, categories)))
    return pc.if_else(known, pc.take(categories, place), text), unlisted


def _spelt(text: pa.Array, field: Field) -> pa.Array:
    """`schema.spelling` of a column."""
    if field.numeric:
        text = pc.replace_substring_regex(text, pattern=WHOLE, replacement=r"\1\2")
        return pc.if_else(pc.equal(text, "-0"), "0", text)
    if field.type == "boolean":
        true, false = (pc.is_in(text, pa.array(words)) for words in (dataschema.TRUE, dataschema.FALSE))
        return pc.if_else(true, "true", pc.if_else(false, "false", text))
    return text


def _numbers(text: pa.Array, source: Source) -> npt.NDArray[np.float64]:
    """The column as float64, in the field's unit. NaN: the text is not of the field's type. Infinite: the number is too
    large."""
    field = source.field
    if field.type == "boolean":
        true, false = (_mask(pc.is_in(text, pa.array(words))) for words in (dataschema.TRUE, dataschema.FALSE))
        return np.where(true, 1.0, np.where(false, 0.0, np.nan))
    if field.type == "date":
        dates = pc.cast(pc.strptime(text, format="%Y-%m-%d", unit="s", error_is_null=True), pa.date32())
        # strptime turns 29 February 2023 into 1 March: a date must read as it was spelt.
        spelt = pc.equal(pc.cast(dates, pa.string()), text)
        return _floats(pc.cast(pc.if_else(spelt, dates, None), pa.int32()))
    if field.unit and not source.converts:
        # A number that is to be converted is in another unit, so the field's unit behind it contradicts the Dataset.
        text = pc.replace_substring_regex(text, pattern=rf"\s*{re.escape(field.unit)}$", replacement="")
    text = pc.replace_substring_regex(text, pattern=r"^\+", replacement="")
    integer = field.type == "integer" and not source.converts
    pattern = dataschema.INTEGER if integer else dataschema.NUMBER
    numbers = _floats(pc.cast(pc.if_else(pc.match_substring_regex(text, pattern), text, None), pa.float64()))
    return _converted(numbers, source) if source.converts else numbers


def _converted(numbers: npt.NDArray[np.float64], source: Source) -> npt.NDArray[np.float64]:
    """The numbers in the field's unit. NaN: the field is an integer, and the number is not whole."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = numbers * source.scale + source.offset
        if source.field.type == "number":
            return numbers
        whole = np.rint(numbers)
        near = np.abs(numbers - whole) <= ROUNDING * np.maximum(np.abs(whole), abs(source.offset))
    return np.where(near, whole, np.nan)


def _wrong_numbers(numbers: npt.NDArray[np.float64], source: Source) -> list[tuple[str, Mask]]:
    field = source.field
    with np.errstate(over="ignore"):
        # The view is float32. A number that overflows there would be infinite for the model.
        finite = np.isfinite(numbers.astype(np.float32)) if field.numeric else np.isfinite(numbers)
    wrong = [(NOT_OF_TYPE[field.type], ~finite)]
    if field.minimum is not None:
        wrong.append((BELOW, numbers < field.minimum - _slack(field.minimum, source)))
    if field.maximum is not None:
        wrong.append((ABOVE, numbers > field.maximum + _slack(field.maximum, source)))
    if field.categories:
        wrong.append((NOT_IN_ENUM, ~np.isin(numbers, np.array(field.categories, np.float64))))
    return wrong


def _slack(bound: float, source: Source) -> float:
    """By how much rounding may carry a converted value over a bound."""
    return ROUNDING * max(abs(bound), abs(source.offset)) if source.converts else 0.0


def _wrong_texts(text: pa.Array, field: Field) -> list[tuple[str, Mask]]:
    if not field.categories:
        return []
    return [(NOT_IN_ENUM, ~_mask(pc.is_in(text, pa.array(field.categories, pa.string()))))]


def _mask(array: pa.Array) -> Mask:
    mask: Mask = array.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _floats(array: pa.Array) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = array.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return floats
