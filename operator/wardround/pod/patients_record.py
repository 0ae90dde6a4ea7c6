"""Remembers on the claim `state` some of the patients of a Dataset, and refuses a file that has most of them no more.

The side of a patient follows from the text of the identifier. A program that exports the file again may write the same
patients as 1001.0 in place of 1001. Then held-out patients would enter training, and nothing else would show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardround.clock import RandomBytes
from wardround.pod import records
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError

if TYPE_CHECKING:
    from wardround.pod.survey import Positions

FOLDER = "patients"
# So many patients are remembered: at first those with the lowest positions in the split, which no key tells in advance.
REMEMBERED = 64
_HEX_DIGITS = 16


def hold(folders: Folders, name: str, positions: Positions, random_bytes: RandomBytes) -> None:
    """Compares the patients of a file with those of the reading before, and remembers them for the next one.

    `positions`: of all patients of the file in the split, distinct and ascending. Patients may come, and fewer than
    half may leave between two readings. Raises PodError (IdentifiersChanged, PodFailed).
    """
    place = records.place(folders, FOLDER, name)
    texts = [_text(each) for each in positions.tolist()]
    present = set(texts)
    try:
        before = _remembered(records.read(place))
        if before and sum(each in present for each in before) * 2 < len(before):
            raise PodError("IdentifiersChanged", _message(name))
        kept = [each for each in before if each in present]
        # The record keeps a patient as long as the file has this patient. Otherwise a file with both spellings would
        # replace most of the record, and the next file, with only the new spelling, would pass.
        record = [*kept, *(each for each in texts[: 2 * REMEMBERED] if each not in kept)][:REMEMBERED]
        if record and record != before:
            records.write(place, record, random_bytes)
    except (OSError, ValueError) as error:
        raise PodError("PodFailed", f"{records.words(place)} cannot be used: {type(error).__name__}") from None


def _message(name: str) -> str:
    return (
        f"the file no longer holds most patients of an earlier reading of Dataset {name}. It writes their identifiers "
        "in another way (such as 1001.0 for 1001), or it is a file of other patients. Held-out patients would enter "
        "training, so no code trains on this file. Export the identifiers as before. Or apply the Dataset under "
        "another name: it then gets a new split, and the authors of rounds have to train new models from the "
        "beginning"
    )


def _text(position: int) -> str:
    return f"{position:0{_HEX_DIGITS}x}"


def _remembered(record: Any) -> list[str]:
    """The remembered positions; none before the first reading. Raises ValueError."""
    if record is None:
        return []
    if not isinstance(record, list) or not all(isinstance(each, str) for each in record):
        raise ValueError("no record")
    return record
