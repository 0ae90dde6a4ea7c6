"""The hub operator's process: starts the parts, says when it is ready, ends on SIGTERM. Decides nothing."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

from wardround.api import names, participant
from wardround.api.participant import Participant
from wardround.clock import Clock, Draw, RandomBytes, system_clock, system_draw, system_random_bytes
from wardround.documents.keys import Identity
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.gone_rounds import GoneRounds
from wardround.hub.models import ModelController
from wardround.hub.participants import ParticipantController
from wardround.hub.pushes import PushController
from wardround.hub.results import ResultController
from wardround.hub.round_tasks import RoundTasks
from wardround.hub.rounds import RoundController
from wardround.hub.settings import SettingMissing, Settings, read
from wardround.hub.store_looks import WORKERS
from wardround.hub.transfers import TransferController
from wardround.kube import tokens
from wardround.kube.client import Client, backoff
from wardround.kube.controller import Controller, Key, Manager, Source
from wardround.kube.errors import ApiError
from wardround.kube.events import Reporter
from wardround.kube.health import PORT, health
from wardround.kube.index import Index
from wardround.kube.lease import heartbeat
from wardround.kube.operator import Watcher
from wardround.kube.process import run_until_terminated
from wardround.kube.queue import WorkQueue
from wardround.kube.retries import Retries
from wardround.ports import AdministeredStore, Api, OpenStore, Watch
from wardround.ports import Watcher as RunningWatcher
from wardround.presign import Credentials, Presigner
from wardround.store.admin import ensure_bucket
from wardround.store.errors import StoreError
from wardround.store.transfer import StoreClient

FIELD_MANAGER = "wardround-hub"
LEASE = "hub-operator"
CONTROLLER = "wardround.io/hub-operator"
Controllers = Callable[[Context, WorkQueue[Key], Draw], Sequence[Controller]]
logger = logging.getLogger(__name__)


async def publish(client: Api, identity: Identity, settings: Settings) -> None:
    """Writes what sites pin of this hub, for people and `enrol` to read. Nothing in it is secret. It also has the
    audiences of the hub operator's own token: a hospital's account gets tokens for these alone (policy
    `token-audience`). An admission policy of the hub chart lets the hub operator write no other keys, so it removes
    those that somebody has added."""
    data = {
        "fingerprint": identity.fingerprint,
        "storeOrigin": settings.store_origin,
        "storeCABundle": settings.store_ca,
        "tokenAudiences": "\n".join(tokens.audiences(client.token())),
    }
    metadata = {"name": names.HUB_CONFIG_MAP, "namespace": client.namespace}
    created = await client.create_if_absent(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    )
    if created:
        return
    item = await client.get("ConfigMap", names.HUB_CONFIG_MAP)
    before = item.get("data") or {}
    if before != data or item.get("binaryData"):
        change = {"data": {**dict.fromkeys(before), **data}, "binaryData": None}
        await client.patch("ConfigMap", names.HUB_CONFIG_MAP, change)


def controllers(hub: Context, queue: WorkQueue[Key], draw: Draw) -> tuple[Controller, ...]:
    """The table of the kinds that the hub operator looks after."""
    results = ResultController(hub, queue)
    rounds = RoundController(hub, queue, results=results, draw=draw)
    models = ModelController(hub, queue)
    wakes = (rounds.wake_active, models.wake_waiting)
    participants = ParticipantController(hub, queue, wakes=wakes, draw=draw)
    pushes = PushController(hub, queue, draw=draw)
    return (participants, rounds, results, models, TransferController(hub), pushes)


class HubOperator:
    """The running operator. `missing` says why it is not ready yet."""

    def __init__(
        self,
        client: Api,
        settings: Settings,
        *,
        watch: Watch,
        open_store: OpenStore[AdministeredStore],
        controllers: Controllers = controllers,
        clock: Clock,
        draw: Draw,
        random_bytes: RandomBytes,
    ) -> None:
        self.client = client
        self._settings = settings
        self._watch = watch
        self._open_store = open_store
        self._controllers = controllers
        self._clock = clock
        self._draw = draw
        self._random_bytes = random_bytes
        self._missing = "the API server"
        self._waited_for: tuple[Index[Participant] | RoundTasks | GoneRounds | RunningWatcher, ...] = ()

    @property
    def missing(self) -> str:
        return self._missing or next((each.missing for each in self._waited_for if each.missing), "")

    async def run(self) -> None:
        """Until cancelled."""
        identity, credentials = await self._prepare()
        settings = self._settings
        async with self._open_store(settings.store_internal, settings.store_ca) as store:
            bucket, region = settings.store_bucket, settings.store_region
            external = Presigner(settings.store_origin, bucket, region, credentials)
            internal = Presigner(settings.store_internal, bucket, region, credentials)
            reporter = Reporter(self.client, CONTROLLER, os.uname().nodename, self._clock)
            participants = Index(self.client, "Participant", participant.parse, self._draw)
            tasks = RoundTasks(self.client, self._draw)
            hub = Context(
                client=self.client,
                settings=settings,
                identity=identity,
                store=store,
                external=external,
                internal=internal,
                reporter=reporter,
                clock=self._clock,
                random_bytes=self._random_bytes,
                participants=participants,
                tasks=tasks,
            )
            queue: WorkQueue[Key] = WorkQueue(draw=self._draw)
            manager = Manager(self._controllers(hub, queue, self._draw), queue, WORKERS)
            watchers = [
                self._watch(self.client, manager.kinds(source), manager.changed, namespaces=namespaces)
                for source, namespaces in ((Source.EVERYWHERE, None), (Source.OWN, (settings.namespace,)))
            ]
            self._waited_for = (participants, tasks, hub.gone, *watchers)
            self._missing = ""
            async with asyncio.TaskGroup() as group:
                for watcher in watchers:
                    group.create_task(watcher.run())
                group.create_task(manager.run())
                group.create_task(reporter.run())
                group.create_task(self._bucket(store, internal))
                group.create_task(heartbeat(self.client, LEASE, os.uname().nodename, lambda _: None, self._clock))

    async def _prepare(self) -> tuple[Identity, Credentials]:
        """Waits for the API server and for the Secrets that people or the chart make."""
        retries = Retries(self._draw, most_seconds=10)
        while True:
            try:
                identity = await vault.identity(self.client)
                await publish(self.client, identity, self._settings)
                credentials = await vault.store_credentials(self.client)
            except (ApiError, KeyError) as failure:
                self._missing = str(failure)
                await retries.wait(failure)
            else:
                logger.info("hub fingerprint %s", identity.fingerprint)
                return identity, credentials

    async def _bucket(self, store: AdministeredStore, presigner: Presigner) -> None:
        """Rounds can be read and judged without the store, so that its absence stops no more than it must."""
        failures = 0
        while True:
            try:
                await ensure_bucket(store, presigner, self._clock())
            except StoreError as failure:
                failures += 1
                logger.warning("store %s: %s; trying again", self._settings.store_internal, failure)
                await asyncio.sleep(backoff(failures, draw=self._draw))
            else:
                return


async def serve(settings: Settings, client: Client, port: int = PORT) -> None:
    async with client:
        operator = HubOperator(
            client,
            settings,
            watch=partial(Watcher, clock=system_clock, draw=system_draw),
            open_store=partial(StoreClient, draw=system_draw),
            clock=system_clock,
            draw=system_draw,
            random_bytes=system_random_bytes,
        )
        async with health(lambda: operator.missing, port):
            await operator.run()


async def _main() -> None:
    await serve(read(os.environ), Client.in_cluster(FIELD_MANAGER, draw=system_draw))


def main(arguments: Sequence[str]) -> int:
    """Runs until SIGTERM."""
    if arguments:
        print("hub-operator takes no arguments: its settings are environment variables", file=sys.stderr)
        return 64
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kopf").setLevel(logging.ERROR)
    try:
        run_until_terminated(_main())
    except SettingMissing as failure:
        print(failure, file=sys.stderr)
        return 64
    return 0
