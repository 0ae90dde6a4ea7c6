"""What the hub operator has made for one round in its own namespace: Secrets and Jobs, read by name. Decides nothing.

All names follow from the round's UID and the numbers of its aggregations. The Secret of the round's key notes a number
before the hub operator makes anything of this number. So no look has to search for objects, also after a crash. If
somebody has deleted this Secret, the round's entry in the register has the numbers that are not usual.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from wardround.api import names
from wardround.api.times import read_time
from wardround.hub import register, vault
from wardround.kube.index import annotations_of
from wardround.plans.round.types import EARLY_NUMBER
from wardround.ports import Api, Object, Objects

# Aggregations of these numbers may have left something although nothing says their numbers.
USUAL_NUMBERS = (EARLY_NUMBER, 1)
# As the hub operator writes numbers: anybody may write other labels.
DECIMAL = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class Made:
    """`key`: the Secret of the round's key. `result`: the Secret of the round's result. `plans`, `jobs`: Secrets and
    Jobs of the aggregations, by number. `lost`: the Secret of the key is gone, and nothing says that all is deleted
    that goes with it."""

    key: Object | None = None
    result: Object | None = None
    plans: Mapping[int, Object] = field(default_factory=dict)
    jobs: Mapping[int, Object] = field(default_factory=dict)
    lost: bool = False

    @property
    def cleaned_up(self) -> bool:
        """Whether the first clean-up is done, as it has noted: nothing else is left then, but for Jobs that have ended
        and the result. A Secret that is not there says nothing: a person may have deleted it."""
        return self.key is not None and names.CLEANED_UP in annotations_of(self.key)

    @property
    def key_lost(self) -> bool:
        """Whether a round that has asked hospitals has no private key any more: somebody has deleted its Secret, or
        what was in it."""
        return self.lost or (self.key is not None and vault.PRIVATE_KEY not in (self.key.get("data") or {}))

    @property
    def puts_until(self) -> datetime | None:
        """Until when sites can store objects, as the first clean-up has noted it."""
        return read_time(annotations_of(self.key).get(names.PUTS_UNTIL, "")) if self.key else None

    def objects(self) -> Objects:
        """All but the result."""
        return [*([self.key] if self.key else []), *self.plans.values(), *self.jobs.values()]


async def read_made(client: Api, round_uid: str) -> Made:
    """What there is for a round. Of a round that is cleaned up only the Secret of its key is read. Raises ApiError."""
    key = await _secret(client, names.round_secret(round_uid), round_uid)
    numbers = noted_numbers(key)
    if not numbers or Made(key).cleaned_up:
        return Made(key)
    return await read_numbers(client, round_uid, key, numbers)


async def read_all(client: Api, round_uid: str, numbers: Iterable[int]) -> Made:
    """Also what is left of a round that is cleaned up. `numbers`: of aggregations that may be left although nothing
    notes them. Raises ApiError."""
    key, entry = await asyncio.gather(
        _secret(client, names.round_secret(round_uid), round_uid), register.entry(client, round_uid)
    )
    known = {*USUAL_NUMBERS, *numbers, *noted_numbers(key), *noted_numbers(entry)}
    return await read_numbers(client, round_uid, key, known)


async def search(client: Api, round_uid: str) -> Made:
    """What there is for a round that has asked hospitals, and whose Secret of the key is gone. The API server goes
    through all Jobs: somebody may have deleted the entry in the register too. Raises ApiError."""
    jobs = await client.list("Job", labels=f"{names.ROUND_UID}={round_uid}")
    numbers = {number for job in jobs for number in job_numbers(job)}
    return replace(await read_all(client, round_uid, numbers), key=None, lost=True)


def job_numbers(job: Object) -> tuple[int, ...]:
    """The number of the aggregation that a Job is for; none if people have made the Job."""
    text = (job["metadata"].get("labels") or {}).get(names.ATTEMPT, "")
    return (int(text),) if DECIMAL.fullmatch(text) else ()


async def read_numbers(client: Api, round_uid: str, key: Object | None, numbers: Collection[int]) -> Made:
    """`key`: the Secret of the round's key. Raises ApiError."""
    ordered = sorted(numbers)
    aggregations = [names.aggregation_name(round_uid, each) for each in ordered]
    # In one call: if one of several failed, nobody would look at the failures of the others.
    result, *others = await asyncio.gather(
        _secret(client, names.model_secret(round_uid), round_uid),
        *(_secret(client, name, round_uid) for name in aggregations),
        *(_own(client, "Job", name, round_uid) for name in aggregations),
    )
    plans, jobs = others[: len(ordered)], others[len(ordered) :]
    return Made(key, result, _by_number(ordered, plans), _by_number(ordered, jobs))


def noted_numbers(item: Object | None) -> tuple[int, ...]:
    """Numbers of aggregations of which there may be a Secret and a Job, as the Secret of the round's key says, or the
    round's entry in the register."""
    words = annotations_of(item).get(names.AGGREGATIONS, "").split() if item else []
    return tuple(int(each) for each in words if DECIMAL.fullmatch(each))


def numbers_with(noted: Collection[int], number: int) -> tuple[int, ...]:
    """The numbers to note before aggregation `number` is made. When the one before it was made, only one more was left,
    and the one that began early."""
    return tuple(sorted({number, *(each for each in noted if each == EARLY_NUMBER or each >= number - 2)}))


async def note_number(client: Api, key: Object, number: int) -> tuple[int, ...]:
    """Notes in the Secret of the round's key that an aggregation of this number may exist from now on, and in the
    register if the number is not usual. Returns the numbers that are noted. Raises ApiError."""
    before = noted_numbers(key)
    after = numbers_with(before, number)
    if after != before:
        text = " ".join(map(str, after))
        if number not in USUAL_NUMBERS:
            await register.note_numbers(client, key, text)
        await vault.note(client, key, {names.AGGREGATIONS: text})
    return after


def _by_number(numbers: Iterable[int], items: Iterable[Object | None]) -> dict[int, Object]:
    return {number: item for number, item in zip(numbers, items, strict=True) if item is not None}


async def _secret(client: Api, name: str, round_uid: str) -> Object | None:
    return await _own(client, "Secret", name, round_uid)


async def _own(client: Api, kind: str, name: str, round_uid: str) -> Object | None:
    """The object of this name, unless it belongs to another round: names of aggregations have only a part of the
    digest of a UID."""
    item = await client.get_if_exists(kind, name)
    labels = item["metadata"].get("labels") or {} if item else {}
    return item if labels.get(names.ROUND_UID) == round_uid else None
