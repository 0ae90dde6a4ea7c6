"""Builds the pages of a list of updates that grows while the round collects (docs/contracts.md, section 7). No I/O.

All pages of a list have one length, because the aggregation Job asks for a page before the hub operator has made it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from wardround.api import names
from wardround.documents.assignments import object_lengths
from wardround.documents.update_list import URL_SECONDS
from wardround.presign import Presigner, SignedPut
from wardround.sealing.pages import NAMED_OVERHEAD, new_page_key, seal_named
from wardround.wire import codec
from wardround.wire.aggregation import PlannedCollection, PlannedList, PlannedUpdate
from wardround.wire.collected import ClosedList, CollectedPage, page_name
from wardround.wire.kept_plan import KeptCollection, KeptList

# Room for the last page of 512 hospitals with an update, or for an update beside the URLs of its parts.
PAGE_BYTES, URL_BYTES = 128 << 10, 750


def planned(
    round_uid: str,
    number: int,
    most: int,
    largest: int,
    seconds: int,
    presigner: Presigner,
    now: datetime,
    nonce: bytes,
) -> PlannedList:
    """The list as the plan of aggregation `number` names it. `most`: how many updates it may name. `largest`: bytes of
    ciphertext of the largest. `seconds`: how long the Job waits for the last page. `nonce`: of this try to
    make the list."""
    location = names.list_location(round_uid, number, nonce)
    collects = PlannedCollection(
        location=location,
        first=presigner.get(page_name(location, 0), now, url_seconds(seconds)),
        page_bytes=PAGE_BYTES + URL_BYTES * len(object_lengths(largest)),
        seconds=seconds,
    )
    return PlannedList(new_page_key(), most, (), collects)


def url_seconds(seconds: int) -> int:
    """How long the URLs in a list live whose Job waits for so many seconds."""
    return seconds + URL_SECONDS


def contents(
    updates: Iterable[PlannedUpdate], closed: ClosedList | None, terms: KeptCollection
) -> Iterator[CollectedPage]:
    """Pages without number and `next`. `closed` is on the last one."""
    room = terms.page_bytes - NAMED_OVERHEAD - URL_BYTES - len(codec.write_document(CollectedPage((), "")))
    page: list[PlannedUpdate] = []
    size = 0
    for update in updates:
        length = len(codec.write_document(update)) + 1
        if page and size + length > room:
            yield CollectedPage(tuple(page), "")
            page, size = [], 0
        page.append(update)
        size += length
    if closed is not None and page and size + len(codec.write_document(closed)) > room:
        yield CollectedPage(tuple(page), "")
        page = []
    if page or closed is not None:
        yield CollectedPage(tuple(page), "", closed)


def sealed(
    content: CollectedPage, number: int, listed: KeptList, presigner: Presigner, now: datetime
) -> tuple[SignedPut, bytes]:
    """Page `number`: where to store it, and its bytes."""
    terms = listed.collects
    seconds = url_seconds(terms.seconds)
    following = presigner.get(page_name(terms.location, number + 1), now, seconds)
    text = codec.write_document(replace(content, next=following)).ljust(terms.page_bytes - NAMED_OVERHEAD)
    name = page_name(terms.location, number)
    data = seal_named(listed.key, name, text)
    return presigner.put_of(data, name, now, seconds), data
