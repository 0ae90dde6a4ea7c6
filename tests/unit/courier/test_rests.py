"""A courier rests when the answer to a report comes after the watch has told of a cancellation."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

from tests.worlds.site import FINGERPRINT, HUB, NOW, accepted, signed
from wardround.courier.task import TaskRunner
from wardround.ports import Object


def item() -> Object:
    spec = {
        "roundRef": {"namespace": "breast-cancer", "name": "train-1", "uid": "round-uid"},
        "roundTaskUID": "round-task-uid",
        "attempt": 1,
        "assignment": signed(),
        "hubKey": HUB.key,
    }
    metadata = {
        "name": "t",
        "namespace": "hospital-a",
        "uid": "u",
        "generation": 1,
        "resourceVersion": "8",
        "creationTimestamp": "2026-11-24T11:59:00Z",
    }
    return {"kind": "SiteTask", "metadata": metadata, "spec": spec, "status": accepted()}


class Folder:
    made = 0

    def make(self) -> None:
        self.made += 1
        raise OSError("the claim is full")

    def remove(self) -> None: ...


def test_a_courier_whose_report_was_answered_after_the_cancellation_rests() -> None:
    async def main() -> int:
        folder = Folder()

        async def apply_status(observed: Object, _: object, after: dict[str, Any]) -> Object | None:
            if observed["metadata"]["resourceVersion"] != "8":
                return None
            written, newer = copy.deepcopy(observed), copy.deepcopy(observed)
            written["status"] |= after
            written["metadata"]["resourceVersion"] = "9"
            newer["status"] |= after
            newer["metadata"]["resourceVersion"] = "10"
            newer["spec"]["cancel"] = True
            runner.observe(newer)  # the watch is faster than the answer
            return written

        means: Any = SimpleNamespace(
            client=SimpleNamespace(apply_status=apply_status),
            identity=SimpleNamespace(fingerprint=FINGERPRINT),
            pins=SimpleNamespace(
                approval="Policy", hub_fingerprint=HUB.identity.fingerprint, lowest_assignment_version=1
            ),
            workspace=SimpleNamespace(task=lambda _: folder),
            models=None,
            clock=lambda: NOW,
            draw=lambda: 0.5,
        )
        runner = TaskRunner(means, item())
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.wait([running])
        return folder.made

    assert asyncio.run(main()) <= 3
