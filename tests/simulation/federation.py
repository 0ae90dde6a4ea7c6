"""A hub and its hospitals in this process: the real operators, couriers, aggregation and pod steps, over fakes.

Installed, enrolled and approved as people do it, with objects that the command line and the charts make.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lab import demo_data, demo_rounds
from tests.conditions import is_true
from tests.simulation.apiserver import Place, Server, Write
from tests.simulation.client import Client, Connect, Watcher
from tests.simulation.kubelet import Node, Watched
from tests.simulation.programs import Programs
from tests.simulation.store import BUCKET, Objects, Opener
from tests.simulation.virtual import VirtualLoop
from wardround.api.names import COURIER_KEYS, HUB_CONFIG_MAP, HUB_CREDENTIALS, SITE
from wardround.cli import enrolment
from wardround.courier import main as courier
from wardround.courier import settings as courier_settings
from wardround.hub.operator import HubOperator
from wardround.hub.settings import Settings
from wardround.plans.site.link import Credentials
from wardround.plans.sitetask.types import Control
from wardround.ports import Api, Object, TokenSource
from wardround.presign import Credentials as StoreCredentials
from wardround.presign import Presigner
from wardround.simulate.trainers import Trainer as TrainingProgram
from wardround.site.link import FIELD_MANAGER
from wardround.site.operator import SiteOperator
from wardround.wire.isolation import LEAST_SECONDS, IsolationTarget
from wardround.wire.versions import KNOWN

HUB_NAMESPACE, SITE_NAMESPACE = "wardround-hub", "wardround-site"
OPERATOR_IMAGE = "registry.example/wardround/operator@sha256:" + "a" * 64
TRAINER_IMAGE = "registry.example/wardround/trainer@sha256:" + "b" * 64
HUB_URL = "https://hub.example:6443"
STORE_ORIGIN, STORE_INTERNAL = "https://store.example:30707", "https://store.wardround-hub.svc:7070"
# What runs for ever.
Process = Coroutine[Any, Any, None]
YEAR = 365 * 86400.0
# A call is on its way so many virtual seconds: not all the same, so that calls overtake each other.
LEAST_LATENCY, MOST_LATENCY = 0.001, 0.02
# Nothing here takes ten minutes.
PATIENCE_SECONDS = 600.0
# The folders of a checkout that a federation in one process needs, beside the operator's code.
FOLDERS = ("crds", "examples", "lab", "tests")
# Writes a hospital's secrets into the folder of its claim `state`, before the hospital's first pod would make them.
WriteKeys = Callable[[demo_data.Hospital, Path], None]


@dataclass(frozen=True)
class Closed:
    """The positive control where there is no network: one port that is closed, and proven to be open outside."""

    async def take(self, *, hub: str, store: str, node: Sequence[str], own: Sequence[str]) -> Control:
        return Control((IsolationTarget("hub", "127.0.0.1", 1, "TCP"),), proven=True, seconds=LEAST_SECONDS)


@dataclass(frozen=True)
class Trainer:
    """A training image as a hospital allows it: its program, what the policy says of it, and its reference.

    The order of a hospital's rows, and so the model, depends on the digest in the reference.
    """

    program: TrainingProgram
    reference: str = TRAINER_IMAGE
    policy: Mapping[str, Any] = field(default_factory=dict)


HUB_OPERATOR = "hub-operator"


class Federation:
    """`seed` decides in which order calls arrive, and nothing else. `watched` sees each container that has ended.
    `connect` makes the clients of all operators and couriers: a subclass of `Client` refuses, loses or delays calls.
    `hub_client`: that of the hub operator, if it differs. `hub` and `store` are given where they are in another process
    (`apart`). `write_keys`: by default, each hospital has the public keys of the demo."""

    hub_client: type[Client] | None = None

    def __init__(
        self,
        loop: VirtualLoop,
        folder: Path,
        trainer: Trainer,
        seed: int,
        watched: Watched = lambda _: None,
        *,
        connect: Connect = Client,
        hub: Server | None = None,
        store: Objects | None = None,
        early_seconds: int = 0,
        hospitals: Sequence[demo_data.Hospital] = demo_data.HOSPITALS,
        write_keys: WriteKeys = demo_data.write_keys,
    ) -> None:
        self._hospitals = hospitals
        self._write_keys = write_keys
        self._random = random.Random(seed)
        self._clock = loop.clock
        self._folder = folder
        self._trainer = trainer
        self._watched = watched
        self._connect = connect
        self._early_seconds = early_seconds
        signer = Presigner(STORE_ORIGIN, BUCKET, "us-east-1", StoreCredentials("access", "in memory, no secret"))
        self._signer = signer
        self.store = store or Objects(signer, loop.clock)
        self._open_store = Opener(self.store, self._latency)
        self.hub = hub or Server(HUB_URL, loop.clock, refuses=_hospitals_write_as_themselves)
        self.sites = {each.name: Server(f"https://{each.name}.example:6443", loop.clock) for each in hospitals}
        self._restarts: dict[str, asyncio.Queue[str]] = {each.name: asyncio.Queue() for each in hospitals}

    @asynccontextmanager
    async def running(self, tables: Mapping[str, demo_data.Table]) -> AsyncIterator[None]:
        """Hub and hospitals, until all hospitals are trusted and offer their data."""
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(self.run_hub()), group.create_task(self.run_hospitals(tables))]
            await self.approve()
            yield
            for task in started:
                task.cancel()

    async def run_hub(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for process in self._install_hub():
                group.create_task(process)

    async def run_hospitals(self, tables: Mapping[str, demo_data.Table]) -> None:
        """For ever: once the hub is there."""
        await self.until("the hub publishes what it is", lambda: self._facts() is not None)
        async with asyncio.TaskGroup() as group:
            for hospital in self._hospitals:
                for process in self._install_site(hospital, tables[hospital.name]):
                    group.create_task(process)

    async def approve(self) -> None:
        """As people do it who have compared the fingerprints: until all hospitals are trusted and offer their data."""
        await self.pin()
        for hospital in self._hospitals:
            await self._trusted(hospital.name)

    async def pin(self) -> None:
        """As people do it who have compared the fingerprints. Hub and hospitals may still lack a common version."""
        for hospital in self._hospitals:
            await self._pin(hospital.name)

    def set_approval(self, hospital: str, approval: str) -> None:
        """As people of the hospital do with the site chart: it writes the Site, and restarts the courier."""
        spec = {"spec": {"policy": {"approval": approval}}}
        self.sites[hospital].change(Place("Site", SITE_NAMESPACE, SITE), spec)
        self._restarts[hospital].put_nowait(approval)

    def models(self, hospital: str) -> Path:
        """The folder of the hospital's claim of models."""
        return self._folder / hospital / "claims" / SITE_NAMESPACE / "models"

    def apply(self, *items: Object) -> None:
        """As a person at the hub."""
        for item in items:
            self.hub.create(item)

    def round(self, name: str) -> Object:
        return self.hub.read(Place("FederatedRound", demo_rounds.NAMESPACE, name))

    async def until(self, event: str, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Raises TimeoutError if it does not come true within so many virtual seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not holds():
            if loop.time() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} virtual seconds: {event}")
            await asyncio.sleep(0.5)

    async def over(self, name: str) -> Object:
        """A round once it has ended, however."""
        await self.until(
            f"round {name} is over", lambda: any(is_true(self.round(name), kind) for kind in ("Complete", "Failed"))
        )
        return self.round(name)

    def _install_hub(self) -> list[Process]:
        for name in (HUB_NAMESPACE, demo_rounds.NAMESPACE):
            self.hub.create(_object("v1", "Namespace", name, ""))
        schema = demo_rounds.data_schema()
        self.hub.create({**schema, "metadata": {**schema["metadata"], "namespace": demo_rounds.NAMESPACE}})
        credentials = self._signer.credentials
        keys = {"accessKey": credentials.access_key, "secretKey": credentials.secret_key}
        self.hub.create(_object("v1", "Secret", "store-credentials", HUB_NAMESPACE, stringData=keys))
        return [self._run_operator(), self._node("hub", self.hub).run()]

    async def _run_operator(self) -> None:
        """The hub operator, for ever."""
        await self._hub_operator().run()

    def _hub_operator(self) -> HubOperator:
        settings = Settings(
            namespace=HUB_NAMESPACE,
            image=OPERATOR_IMAGE,
            store_origin=STORE_ORIGIN,
            store_internal=STORE_INTERNAL,
            store_region=self._signer.region,
            store_bucket=BUCKET,
            store_ca="in memory",
            early_seconds=self._early_seconds,
        )
        client = self._client(self.hub, HUB_OPERATOR, HUB_NAMESPACE, field_manager="wardround-hub")
        return HubOperator(
            client,
            settings,
            watch=partial(Watcher, clock=self._clock),
            open_store=self._open_store,
            clock=self._clock,
            draw=self._random.random,
            random_bytes=self._random.randbytes,
        )

    def _install_site(self, hospital: demo_data.Hospital, table: demo_data.Table) -> list[Process]:
        name, server, facts = hospital.name, self.sites[hospital.name], self._facts()
        assert facts is not None
        for item in enrolment.manifests(name, hospital.display_name, [demo_rounds.NAMESPACE], flow_control=False):
            if item["kind"] not in ("ResourceQuota", "RoleBinding"):
                self.hub.create(item)
        token = self.hub.token(f"{name}:site", enrolment.TOKEN_SECONDS)
        secret = enrolment.credentials(name, self.hub.url, "in memory", token)
        server.create(_object("v1", "Namespace", SITE_NAMESPACE, ""))
        server.create({**secret, "metadata": {"name": HUB_CREDENTIALS, "namespace": SITE_NAMESPACE}})
        server.create(_object("v1", "Secret", COURIER_KEYS, SITE_NAMESPACE))
        server.create(_object("wardround.io/v1alpha1", "Site", SITE, SITE_NAMESPACE, spec=self._site(name, facts)))
        for item in (demo_rounds.data_schema(), demo_rounds.dataset()):
            server.create({**item, "metadata": {**item["metadata"], "namespace": SITE_NAMESPACE}})
        claims = self._folder / name / "claims" / SITE_NAMESPACE
        for claim in ("data", "models", "state", "workspace"):
            (claims / claim).mkdir(parents=True)
        demo_data.write(table, claims / "data" / "cases.csv")
        self._write_keys(hospital, claims / "state")

        operator = SiteOperator(
            self._client(server, "site-operator", SITE_NAMESPACE),
            OPERATOR_IMAGE,
            watch=partial(Watcher, clock=self._clock),
            connect=self._client_at_hub,
            controls=Closed(),
            clock=self._clock,
            draw=self._random.random,
        )
        pins = courier_settings.Pins(
            facts.fingerprint, facts.store_origin, facts.store_ca_bundle, "", "Policy", KNOWN[0]
        )
        settings = courier_settings.Settings(pins, claims / "workspace", claims / "models")
        return [operator.run(), self._run_couriers(name, settings), self._node(name, server).run()]

    async def _run_couriers(self, name: str, settings: courier_settings.Settings) -> None:
        """The courier, and after each restart the next one. For ever."""
        restarts = self._restarts[name]
        while True:
            process = courier.Process(
                settings,
                self._client(self.sites[name], "courier", SITE_NAMESPACE),
                open_store=self._open_store,
                clock=self._clock,
                draw=self._random.random,
            )
            running, restart = asyncio.create_task(process.run()), asyncio.create_task(restarts.get())
            try:
                await asyncio.wait((running, restart), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                settings = replace(settings, pins=replace(settings.pins, approval=restart.result()))
            finally:
                for each in (running, restart):
                    each.cancel()
                await asyncio.wait((running, restart))

    def _site(self, name: str, facts: enrolment.HubFacts) -> Object:
        policy = {
            "approval": "Policy",
            "images": [self._trainer.reference],
            "datasets": [{"name": "breast", "federations": [demo_rounds.NAMESPACE]}],
            **self._trainer.policy,
        }
        workload = {"workspaceClaimName": "workspace", "stateClaimName": "state", "modelsClaimName": "models"}
        return {**enrolment.site_values(name, facts), "policy": policy, "workload": workload}

    def participant(self, name: str) -> Object:
        return self.hub.read(Place("Participant", name, name))

    async def _pin(self, name: str) -> None:
        def published() -> bool:
            enrolled = self.hub.select("Participant", name)
            return bool(enrolled and (self.participant(name).get("status") or {}).get("fingerprint"))

        await self.until(f"{name} publishes its keys", published)
        pin = {"spec": {"keyFingerprint": enrolment.fingerprint_to_pin(self.participant(name))}}
        self.hub.change(Place("Participant", name, name), pin)

    async def _trusted(self, name: str) -> None:
        def offers() -> bool:
            return bool(self.participant(name)["status"]["site"].get("datasets"))

        await self.until(f"{name} is trusted", lambda: is_true(self.participant(name), "Ready"))
        await self.until(f"{name} offers its data", offers)

    def _facts(self) -> enrolment.HubFacts | None:
        maps = self.hub.select("ConfigMap", HUB_NAMESPACE, fields=f"metadata.name={HUB_CONFIG_MAP}")
        return enrolment.hub_facts(maps[0], HUB_NAMESPACE) if maps else None

    def _client(self, server: Server, account: str, namespace: str, *, field_manager: str = "") -> Client:
        token = server.token(f"{namespace}:{account}", YEAR)
        connect = self.hub_client if self.hub_client and account == HUB_OPERATOR else self._connect
        return connect(server, lambda: token, namespace, self._latency, field_manager=field_manager)

    def _client_at_hub(self, credentials: Credentials, token: TokenSource) -> Api:
        assert credentials.server == self.hub.url
        return self._connect(
            self.hub, token, credentials.namespace, self._latency, field_manager=FIELD_MANAGER, strict=False
        )

    def _node(self, name: str, server: Server) -> Node:
        programs = Programs({self._trainer.reference: self._trainer.program}, self._open_store, self._clock)
        return Node(server, self._folder / name / "claims", self._folder / name / "pods", programs, self._watched)

    def _latency(self) -> float:
        return self._random.uniform(LEAST_LATENCY, MOST_LATENCY)


def _hospitals_write_as_themselves(write: Write) -> str:
    """As the hub chart's policy: a hospital's account writes under its own field manager alone."""
    theirs = write.account.endswith(":site")
    return "" if not theirs or write.verb == "delete" or write.manager == FIELD_MANAGER else "not by wardround-site"


def _object(version: str, kind: str, name: str, namespace: str, **content: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
