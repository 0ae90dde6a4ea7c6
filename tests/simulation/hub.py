"""A hub operator alone in this process, with hospitals that are no more than approved Participants."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from tests.players.hospital import offering
from tests.players.hub import DATA_SCHEMA, DATASET
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client, Connect, Watcher
from tests.simulation.store import BUCKET, Objects, Opener
from tests.simulation.virtual import VirtualLoop
from wardround.hub.operator import Controllers, HubOperator, controllers
from wardround.hub.settings import Settings
from wardround.ports import Object
from wardround.presign import Credentials, Presigner

NAMESPACE, FEDERATION = "wardround-hub", "breast-cancer"
IMAGE = "registry.example/trainer@sha256:" + "b" * 64
ORIGIN = "https://store.example"
SETTLED_SECONDS = 30.0
# The label of all enrolled hospitals, and a round's participants by this label.
LABELS = {"wardround.io/country": "de"}
NO_LABELS: Mapping[str, str] = {}
BY_LABEL: Mapping[str, Any] = {"selector": {"matchLabels": LABELS}}


class LoneHub:
    """`connect` makes the operator's client: a subclass of `Client` refuses, loses or delays calls."""

    def __init__(
        self,
        loop: VirtualLoop,
        connect: Connect = Client,
        controllers: Controllers = controllers,
    ) -> None:
        self.server = Server("https://hub.example:6443", loop.clock)
        self._loop = loop
        self._connect = connect
        self._controllers = controllers
        self._random = random.Random(1)
        credentials = Credentials("access", "secret")
        self._signer = Presigner(ORIGIN, BUCKET, "us-east-1", credentials)
        self.store = Objects(self._signer, loop.clock)
        for name in (NAMESPACE, FEDERATION):
            self._create("v1", "Namespace", name, "")
        self._create("wardround.io/v1alpha1", "DataSchema", "breast-v1", FEDERATION, spec=DATA_SCHEMA)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """One process of the hub operator. Another one may follow."""
        signer, credentials = self._signer, self._signer.credentials
        if not self.server.select("Secret", NAMESPACE, fields="metadata.name=store-credentials"):
            keys = {"accessKey": credentials.access_key, "secretKey": credentials.secret_key}
            self._create("v1", "Secret", "store-credentials", NAMESPACE, stringData=keys)
        token = self.server.token(f"{NAMESPACE}:hub-operator", 86400)
        settings = Settings(
            namespace=NAMESPACE,
            image="registry.example/operator@sha256:" + "a" * 64,
            store_origin=ORIGIN,
            store_internal=ORIGIN,
            store_region=signer.region,
            store_bucket=BUCKET,
            store_ca="in memory",
        )
        operator = HubOperator(
            self._connect(self.server, lambda: token, NAMESPACE, self._latency, field_manager="wardround-hub"),
            settings,
            watch=partial(Watcher, clock=self._loop.clock),
            open_store=Opener(self.store, self._latency),
            controllers=self._controllers,
            clock=self._loop.clock,
            draw=self._random.random,
            random_bytes=self._random.randbytes,
        )
        running = asyncio.create_task(operator.run())
        try:
            await self.settle()
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def settle(self) -> None:
        """Until the operator has done what there is to do."""
        await asyncio.sleep(SETTLED_SECONDS)

    def enrol(self, name: str, **spec: Any) -> None:
        """A hospital that has published its keys and is approved."""
        hospital = offering(name, "breast", DATASET, DATA_SCHEMA)
        approved = {"keyFingerprint": hospital.fingerprint, "allowedFederations": [{"namespace": FEDERATION}]}
        self._create("v1", "Namespace", name, "")
        self._create("v1", "ServiceAccount", "site", name)
        self._create("wardround.io/v1alpha1", "Participant", name, name, LABELS, spec={**approved, **spec})
        place = Place("Participant", name, name)
        self.server.change(place, {"status": hospital.status()}, subresource="status")

    def apply_round(self, name: str, hospitals: list[str], **spec: Any) -> None:
        known = {
            "task": "Train",
            "initial": {},
            "image": IMAGE,
            "datasetName": "breast",
            "schemaName": "breast-v1",
            "participants": {"names": hospitals},
        }
        given = {key: value for key, value in {**known, **spec}.items() if value is not None}
        self._create("wardround.io/v1alpha1", "FederatedRound", name, FEDERATION, spec=given)

    def delete_round(self, name: str) -> None:
        self.server.remove(Place("FederatedRound", FEDERATION, name))

    def round(self, name: str) -> Object:
        return self.server.select("FederatedRound", FEDERATION, fields=f"metadata.name={name}")[0]

    def tasks(self, round_name: str) -> Mapping[str, Object]:
        """RoundTasks of a round by hospital, in order."""
        tasks = self.server.select("RoundTask", None, f"wardround.io/round={round_name}")
        return {
            each["metadata"]["namespace"]: each
            for each in sorted(tasks, key=lambda it: str(it["metadata"]["namespace"]))
        }

    def report(self, task: Object, *conditions: Object) -> None:
        """As a site operator: the conditions of a RoundTask."""
        place = Place("RoundTask", task["metadata"]["namespace"], task["metadata"]["name"])
        self.server.change(place, {"status": {"conditions": list(conditions)}}, subresource="status")

    def _create(
        self,
        version: str,
        kind: str,
        name: str,
        namespace: str,
        labels: Mapping[str, str] | None = None,
        **content: Any,
    ) -> None:
        metadata = {"name": name, "labels": dict(labels or {}), **({"namespace": namespace} if namespace else {})}
        self.server.create({"apiVersion": version, "kind": kind, "metadata": metadata, **content})

    def _latency(self) -> float:
        return self._random.uniform(0.001, 0.02)
