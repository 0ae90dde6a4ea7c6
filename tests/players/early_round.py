"""Plays a hub that starts the aggregation of a round while the round collects, at a real store.

Uses the hub's own code for plan and pages. A test says when which page is written, and what an attacker does to it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tests.players.kept_list import kept
from tests.players.stored_round import Round, now, run_job
from wardround.clock import NONCE_BYTES, system_random_bytes
from wardround.documents import collected_list
from wardround.documents.update_list import planned_update
from wardround.plans.round.counted import max_samples
from wardround.plans.round.types import Aggregate, Collects
from wardround.plans.round.upload import largest_upload
from wardround.wire.aggregation import PlannedCollection, PlannedList
from wardround.wire.collected import ClosedList, CollectedPage, identity_of, page_name

NUMBER = 0


@dataclass
class EarlyRound:
    """An aggregation that begins early. `pages`: how many are written."""

    played: Round
    most: int
    seconds: int = 60
    number: int = NUMBER
    pages: int = 0
    listed: PlannedList = field(init=False)

    def __post_init__(self) -> None:
        uid, presigner = self.played.uid, self.played.server.presigner
        terms = (self.most, self.largest, self.seconds)
        nonce = system_random_bytes(NONCE_BYTES)
        self.listed = collected_list.planned(uid, self.number, *terms, presigner, now(), nonce)

    @property
    def largest(self) -> int:
        return largest_upload(self.played.object, self.played.base.stored if self.played.base else None)

    @property
    def terms(self) -> PlannedCollection:
        assert self.listed.collects is not None
        return self.listed.collects

    def plan(self) -> bytes:
        """`plan.json` of the Job."""
        action = Aggregate(
            number=self.number,
            tasks=(),
            until=now() + timedelta(hours=1),
            scratch=self.played.scratch([self.largest] * self.most),
            collects=Collects(most=self.most, largest=self.largest, seconds=self.seconds),
        )
        return self.played.written(action, self.listed)

    def content(self, new: Sequence[str], counted: Sequence[str] | None) -> list[CollectedPage]:
        """Pages with new updates of these participants. `counted`: the participants of the last page."""
        seen, presigner = self.played.seen, self.played.server.presigner
        updates = {name: planned_update(seen, task, presigner, now(), 600) for name, task in self.played.sent.items()}
        closed = None
        if counted is not None:
            limits = max_samples(seen, [self.played.sent[name] for name in counted])
            closed = ClosedList(tuple(identity_of(updates[name]) for name in counted), limits)
        return list(collected_list.contents([updates[name] for name in new], closed, kept(self.listed).collects))

    def sealed(self, content: CollectedPage, number: int) -> bytes:
        presigner = self.played.server.presigner
        return collected_list.sealed(content, number, kept(self.listed), presigner, now())[1]

    async def put(self, number: int, data: bytes) -> None:
        """Store these bytes as page `number`."""
        upload = self.played.server.presigner.put(page_name(self.terms.location, number), now(), 600, len(data))
        assert await self.played.store.put_bytes(upload.url, upload.headers, data)

    async def list_updates(self, *new: str, counted: Sequence[str] | None = None) -> None:
        """Write the next page."""
        for content in self.content(new, counted):
            await self.put(self.pages, self.sealed(content, self.pages))
            self.pages += 1

    def start(self) -> asyncio.Task[tuple[int, dict[str, Any]]]:
        """Run the Job's process in a thread of its own: exit code and answer."""
        folder = self.played.folder / f"early-{self.number}"
        folder.mkdir()
        (folder / "plan.json").write_bytes(self.plan())
        return asyncio.create_task(self._run())

    async def _run(self) -> tuple[int, dict[str, Any]]:
        folder = self.played.folder / f"early-{self.number}"
        (folder / "scratch").mkdir(exist_ok=True)
        code = await run_job(folder / "plan.json", folder / "scratch", folder / "log")
        assert list((folder / "scratch").iterdir()) == []
        return code, json.loads((folder / "log").read_bytes())

    def with_key(self, key: bytes) -> None:
        """Seal further pages under another key."""
        self.listed = replace(self.listed, key=key)
