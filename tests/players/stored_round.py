"""One round of the played hub and hospitals up to its aggregation, at a real store. Tests change one thing in it.

The Job's own code combines the updates. There is no API server.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tests.players import courier
from tests.players.compressed import compressed
from tests.players.hospital import Hospital
from tests.players.hub import SCHEMA, Hub, dispatch
from tests.players.store import Server
from wardround import tensors
from wardround.aggregate import main as aggregation
from wardround.aggregate import plan
from wardround.api import federatedround
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import Meta
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.task import Update
from wardround.clock import NONCE_BYTES, system_clock, system_draw, system_random_bytes
from wardround.documents import aggregations
from wardround.documents.keys import Model
from wardround.plans.round.scratch import SCRATCH_LIMIT, Scratch, scratch
from wardround.plans.round.types import Aggregate, Observation
from wardround.sealing import body, keys, manifests, untrusted
from wardround.sealing.opener import FileOpener
from wardround.store.transfer import StoreClient
from wardround.wire import canonical
from wardround.wire.aggregation import AggregationAnswer, PlannedList, StoreAccess
from wardround.wire.compression import NONE, Compression
from wardround.wire.models import Header

IMAGE = "sha256:" + "1" * 64


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Round:
    """One round at a real store, played by a hub and hospitals."""

    server: Server
    store: StoreClient
    folder: Path
    task: str = "Train"
    initial: bool = False
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    base: Model | None = None
    metrics: tuple[str, ...] = ("loss",)
    references: tuple[str, ...] = ()
    gate: dict[str, Any] | None = None
    max_share: str = "1"
    strategy: str = "FedAvg"
    strategy_parameters: dict[str, str] = field(default_factory=dict)
    frozen: tuple[str, ...] | None = None
    compression: Compression = NONE
    max_samples: dict[str, int] = field(default_factory=dict)
    scratch_limit: int = SCRATCH_LIMIT
    hub: Hub = field(default_factory=Hub)
    hospitals: dict[str, Hospital] = field(default_factory=dict)
    sent: dict[str, RoundTask] = field(default_factory=dict)
    data_key: bytes = b""

    @property
    def object(self) -> FederatedRound:
        spec: dict[str, Any] = {
            "task": self.task,
            "datasetName": "breast",
            "schemaName": "breast-v1",
            "participants": {"names": sorted(self.hospitals)},
            "metrics": list(self.metrics),
            "aggregation": {
                "maxWeightShare": self.max_share,
                "strategy": self.strategy,
                "parameters": self.strategy_parameters,
                "compression": self.compression,
            },
        }
        if self.task != "Statistics":
            spec["image"] = f"registry.example/trainer@{IMAGE}"
        if self.initial:
            spec["initial"] = {}
        if self.frozen is not None:
            spec["exchange"] = {"frozen": list(self.frozen)}
        return federatedround.parse({"metadata": {"name": "round", "namespace": "test", "uid": self.uid}, "spec": spec})

    async def with_base(self, arrays: Mapping[str, Any], dtypes: dict[str, str] | None = None) -> None:
        """Store a base model."""
        plain, schema_digest = courier.written(arrays, dtypes)
        sealed = self.hub.seal_model(plain, str(uuid.uuid4()), schema_digest=schema_digest)
        await sealed.put(self.store, self.server.presigner, now())
        self.base = sealed.model

    async def update(
        self,
        participant: str,
        arrays: Mapping[str, Any],
        samples: int = 10,
        *,
        dtypes: dict[str, str] | None = None,
        **changes: Any,
    ) -> None:
        """Send an update as a courier does, but for what the arguments change."""
        plain, schema_digest = courier.written(arrays, dtypes)
        plain = compressed(plain, self.compression, self.object.spec.exchange.frozen)
        changes["claims"] = {"schema_digest": schema_digest, **changes.get("claims", {})}
        await self.update_of(participant, plain, samples, **changes)

    async def update_of(
        self,
        participant: str,
        plain: bytes,
        samples: int = 10,
        *,
        assignment: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        manifest: Mapping[str, Any] | None = None,
        signed_by: keys.SigningKey | None = None,
    ) -> None:
        """Send an update of these very bytes, for an assignment, with claims and a manifest that are changed."""
        hospital = self.hospitals[participant] = Hospital(participant, self.hub.identity.fingerprint)
        spec = self.hub.ask(self.object, hospital.recipient, dispatch(participant, now()), now(), self.base)
        sealed, sender = await courier.seal(
            dataclasses.replace(hospital.assignment(spec), **(assignment or {})),
            hospital.identity,
            self.folder / participant,
            plain,
            **{"samples": samples, "base_digest": self.base_digest, **(claims or {})},
        )
        upload = sealed.view.upload
        spec = self.hub.grant(spec, hospital.recipient, self.server.presigner, now(), upload=upload)
        await sender.send(sealed, hospital.grants(spec), self.store)
        made = dataclasses.replace(sealed.manifest, **(manifest or {}))
        text = manifests.sign_update(made, signed_by or hospital.signing)
        status = RoundTaskStatus(upload=upload, update=Update(manifest=text, samples=samples))
        self.sent[participant] = RoundTask(metadata=Meta(name="task", namespace=participant), spec=spec, status=status)

    @property
    def base_digest(self) -> str:
        return self.base.manifest.digest if self.base else ""

    def stored_bytes(self, participant: str) -> int:
        upload = self.sent[participant].status.upload
        assert upload is not None
        return upload.bytes

    def stored(self, participant: str) -> Path:
        """The one part of an update as the store has it on disk."""
        return self.server.folder / "wardround" / "updates" / self.uid / "1" / participant / "part-00000"

    @property
    def seen(self) -> Observation:
        return Observation(
            round=self.object,
            participants={name: self._participant(each) for name, each in self.hospitals.items()},
            schema=SCHEMA,
            now=now(),
        )

    def _participant(self, hospital: Hospital) -> Participant:
        participant = hospital.participant(now())
        spec = dataclasses.replace(participant.spec, max_samples=self.max_samples.get(hospital.name))
        return dataclasses.replace(participant, spec=spec)

    def scratch(self, sizes: Sequence[int]) -> Scratch:
        """For updates of so many bytes."""
        base = self.base.manifest.header.length if self.base else None
        length = max(sizes, default=0) if base is None else body.ciphertext_length(base)
        return scratch(self.object.spec, len(sizes), length, base, self.scratch_limit)

    async def plan(self, number: int = 1) -> bytes:
        """`plan.json` of the Job that combines what was sent. `number`: of the aggregation."""
        seen, tasks = self.seen, tuple(self.sent.values())
        room = self.scratch([self.stored_bytes(name) for name in self.sent])
        action = Aggregate(number=number, tasks=tasks, until=now() + timedelta(hours=1), scratch=room)
        nonce = system_random_bytes(NONCE_BYTES)
        return self.written(
            action, await self.hub.list_updates(seen, action, self.store, self.server.presigner, now(), nonce)
        )

    def written(self, action: Aggregate, listed: PlannedList) -> bytes:
        """`plan.json` of this action."""
        store = StoreAccess(self.server.origin, self.server.ca)
        presigner, key = self.server.presigner, self.hub.round_key
        text = aggregations.plan(self.seen, action, key, self.base, listed, presigner=presigner, store=store, now=now())
        text = canonical.dumps(json.loads(text) | {"references": list(self.references), "gate": self.gate})
        self.data_key = plan.parse(text).data_key
        return text

    async def aggregate(self) -> tuple[int, dict[str, Any]]:
        """Run the Job's process in a thread of its own; return exit code and answer."""
        path, log = self.folder / "plan.json", self.folder / "termination-log"
        path.write_bytes(await self.plan())
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        code = await run_job(path, scratch, log)
        assert list(scratch.iterdir()) == []
        return code, json.loads(log.read_bytes())

    async def result(self, answer: dict[str, Any], number: int = 1) -> dict[str, Any]:
        """Fetch and open the result as a courier does; return arrays as bits. `number`: of the aggregation."""
        header = untrusted.parse(Header, answer["header"], "ManifestUnreadable")
        opened = body.Body(self.data_key, header)
        location = f"models/{self.uid}/{number}"
        path = self.folder / "result"
        with FileOpener(path, opened, answer["digest"]) as opener:
            for index, length in enumerate(body.part_lengths(header.length)):
                url = self.server.presigner.get(f"{location}/{body.part_name(index)}", now(), 600)
                opener.feed(await self.store.get_bytes(url, length))
            opener.finish()
        layout = tensors.layout(path)
        assert layout.canonical
        with path.open("rb") as file:
            return {place[0].name: tensors.read(file, place) for place in layout.places}


async def carried_out(path: Path, scratch: Path) -> AggregationAnswer:
    """Carry the plan out in this process; return its answer."""
    open_store = partial(StoreClient, draw=system_draw)
    return await aggregation.carry_out(path, scratch, open_store=open_store, clock=system_clock)


async def run_job(path: Path, scratch: Path, log: Path) -> int:
    """Run the Job's process in a thread; return its exit code."""
    os.environ["WARDROUND_TERMINATION_LOG"] = str(log)
    return await asyncio.to_thread(aggregation.main, [str(path), str(scratch)])
