"""Names the reasons for which a row is left out, with meaning and advice for a data manager. Knows no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MISSING, IDENTIFIER_MISSING = "Missing", "IdentifierMissing"
NOT_OF_TYPE = {"number": "NotANumber", "integer": "NotAnInteger", "boolean": "NotABoolean", "date": "NotADate"}
BELOW, ABOVE, NOT_IN_ENUM = "BelowMinimum", "AboveMaximum", "NotInEnum"
# Reported for a CSV line with too few or too many values: no single field is at fault.
EVERY_FIELD, ROW_MALFORMED = "*", "RowMalformed"


@dataclass(frozen=True)
class Problem:
    """`meaning`: of the value or the row. `advice`: what a data manager does, as an imperative without a full stop."""

    meaning: str
    advice: str


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        MISSING: Problem(
            "a field has no value, but needs one. Each number, each integer, the target and each `required` field "
            "need a value",
            "fill in the value in the file, or leave the field out of a new DataSchema",
        ),
        IDENTIFIER_MISSING: Problem(
            "the row has no identifier of the patient, or Parquet stores the identifier as a float that is too large "
            "to be exact. So nobody knows in which part of the split the row belongs",
            "fill in the identifier of the patient in the file. In Parquet, store it as text or as int64",
        ),
        "NotANumber": Problem(
            "the value of a number is no finite decimal number",
            "write digits with a decimal point, such as 63.5. The unit of the field may follow, but no other unit. If "
            "the field has a scale or an offset in Dataset.spec.fields, no unit may follow. If a word such as unknown "
            "stands for a missing value, list it in missingValues",
        ),
        "NotAnInteger": Problem(
            "the value of an integer is no whole number",
            "write digits alone, such as 63. List a word for a missing value, such as unknown, in missingValues, and a "
            "word for a category in categories of Dataset.spec.fields",
        ),
        "NotABoolean": Problem(
            "the value of a boolean is none of true, True, TRUE, 1, false, False, FALSE, 0",
            "write true, false, 1 or 0, and neither 1.0 nor yes. Or list the words of the file for the categories "
            "true and false in Dataset.spec.fields",
        ),
        "NotADate": Problem(
            "the value of a date is not written as YYYY-MM-DD, or there is no such day",
            "write year, month and day in this order, such as 2024-02-29",
        ),
        BELOW: Problem(
            "the value is below the field's `minimum`",
            "correct the value, or lower minimum in a new DataSchema. List a number for a missing value, such as -999, "
            "in missingValues",
        ),
        ABOVE: Problem(
            "the value is above the field's `maximum`",
            "correct the value, or raise maximum in a new DataSchema. List a number for a missing value, such as 9999, "
            "in missingValues",
        ),
        NOT_IN_ENUM: Problem(
            "the value is none of the field's `categories`",
            "correct the value, or write its category in Dataset.spec.fields. List a word for a missing value in "
            "missingValues",
        ),
        ROW_MALFORMED: Problem(
            "the row has more or fewer values than the header",
            "give each row as many values as the header, separated by commas",
        ),
    }
)
# The advice if all rows of the file break the bound.
OTHER_UNIT = (
    "all rows of the file break this bound. Compare the unit of the values with the unit in the DataSchema, and write "
    "scale in Dataset.spec.fields"
)


def described(field: str, reason: str, rows: int, all_rows: int) -> str:
    """One reason in words. `field`: a field of the schema, or EVERY_FIELD. `all_rows`: the rows of the file."""
    place = "whole row" if field == EVERY_FIELD else field
    words = OTHER_UNIT if reason in (BELOW, ABOVE) and rows == all_rows else advice(reason)
    return f"{place} {reason} {rows}" + (f" ({words})" if words else "")


def advice(reason: str) -> str:
    """What a data manager does; empty for a reason that a newer version writes."""
    known = PROBLEMS.get(reason)
    return known.advice if known else ""
