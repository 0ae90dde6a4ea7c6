"""Names the reasons for which a row is left out, with the advice for a data manager. Knows no row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MISSING = "Missing"
NOT_OF_TYPE = {"number": "NotANumber", "integer": "NotAnInteger", "boolean": "NotABoolean", "date": "NotADate"}
BELOW, ABOVE, NOT_IN_ENUM = "BelowMinimum", "AboveMaximum", "NotInEnum"
# Reported for a CSV line with too few or too many values: no single field is at fault.
EVERY_FIELD, ROW_MALFORMED = "*", "RowMalformed"

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        MISSING: "fill in the value in the file, or leave the field out of a new DataSchema",
        "NotANumber": "write digits with a decimal point, such as 63.5, and no unit other than the field's; no unit at "
        "all where Dataset.spec.fields has a scale or an offset",
        "NotAnInteger": "write digits alone, such as 63",
        "NotABoolean": "write true, false, 1 or 0, not 1.0 and not yes, or list such words as the local names of the "
        "categories true and false in Dataset.spec.fields",
        "NotADate": "write year, month and day in this order, such as 2024-02-29",
        BELOW: "correct the value, or lower minimum in a new DataSchema",
        ABOVE: "correct the value, or raise maximum in a new DataSchema",
        NOT_IN_ENUM: "correct the value, or write its category in Dataset.spec.fields",
        ROW_MALFORMED: "give each row as many values as the header, separated by commas",
    }
)
# The advice if all rows of the file break the bound.
OTHER_UNIT = (
    "no row of the file keeps this bound. Compare the unit of the values with the unit in the DataSchema, and write "
    "scale in Dataset.spec.fields"
)


def described(field: str, reason: str, rows: int, all_rows: int) -> str:
    """One reason in words. `field`: a field of the schema, or EVERY_FIELD. `all_rows`: the rows of the file."""
    place = "whole row" if field == EVERY_FIELD else field
    words = OTHER_UNIT if reason in (BELOW, ABOVE) and rows == all_rows else ADVICE.get(reason)
    return f"{place} {reason} {rows}" + (f" ({words})" if words else "")
