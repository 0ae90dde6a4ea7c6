"""The hub operator's process: starts the parts, says when it is ready, ends on SIGTERM. Decides nothing."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence

from wardround.api import names, participant
from wardround.api.participant import Participant
from wardround.clock import Clock, Draw, system_clock, system_draw
from wardround.documents.keys import Identity
from wardround.hub import settings, vault
from wardround.hub.context import Context
from wardround.hub.participants import ParticipantController
from wardround.hub.results import ResultController
from wardround.hub.rosters import Rosters
from wardround.hub.rounds import RoundController
from wardround.hub.settings import Settings
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
from wardround.ports import Api, OpenStore, Store, Watch
from wardround.ports import Watcher as RunningWatcher
from wardround.store.admin import ensure_bucket
from wardround.store.errors import StoreError
from wardround.store.presign import Credentials, Presigner
from wardround.store.transfer import Store as RealStore

WORKERS = 8
FIELD_MANAGER = "wardround-hub"
LEASE = "hub-operator"
CONTROLLER = "wardround.io/hub-operator"
Controllers = Callable[[Context, WorkQueue[Key], Draw], Sequence[Controller]]
logger = logging.getLogger(__name__)


async def publish(client: Api, who: Identity, told: Settings) -> None:
    """What sites pin of this hub, for people and `enrol` to read: nothing in it is secret. And for whom the hub's own
    token is, its API server: for nobody else a hospital's account gets one (policy `token-audience`)."""
    data = {
        "fingerprint": who.fingerprint,
        "storeOrigin": told.store_origin,
        "storeCABundle": told.store_ca,
        "tokenAudiences": "\n".join(tokens.audiences(client.token())),
    }
    metadata = {"name": names.HUB_CONFIG_MAP, "namespace": client.namespace}
    made = await client.create_if_absent({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    if not made and (await client.get("ConfigMap", names.HUB_CONFIG_MAP)).get("data") != data:
        await client.patch("ConfigMap", names.HUB_CONFIG_MAP, {"data": data})


def controllers(hub: Context, queue: WorkQueue[Key], draw: Draw) -> tuple[Controller, ...]:
    """The table of the kinds that the hub operator looks after."""
    results = ResultController(hub, queue)
    rounds = RoundController(hub, queue, results=results, draw=draw)
    participants = ParticipantController(hub, queue, wake_rounds=rounds.wake_active, draw=draw)
    return (participants, rounds, results)


class Hub:
    """The running operator. `waiting_for` says what it is not ready for yet."""

    def __init__(
        self,
        client: Api,
        told: Settings,
        *,
        watch: Watch = Watcher,
        open_store: OpenStore = RealStore,
        controllers: Controllers = controllers,
        clock: Clock = system_clock,
        draw: Draw = system_draw,
    ) -> None:
        self.client = client
        self.told = told
        self._watch = watch
        self._open_store = open_store
        self._controllers = controllers
        self._clock = clock
        self._draw = draw
        self._missing = "the API server"
        self._waited_for: tuple[Index[Participant] | RunningWatcher, ...] = ()

    def waiting_for(self) -> str:
        return self._missing or next((each.missing for each in self._waited_for if each.missing), "")

    async def run(self) -> None:
        """Until cancelled."""
        who, credentials = await self._prepare()
        told = self.told
        async with self._open_store(told.store_internal, told.store_ca) as store:
            external = Presigner(told.store_origin, told.store_bucket, told.store_region, credentials)
            internal = Presigner(told.store_internal, told.store_bucket, told.store_region, credentials)
            reporter = Reporter(self.client, CONTROLLER, os.uname().nodename, self._clock)
            participants = Index(self.client, "Participant", participant.parse, self._draw)
            hub = Context(
                client=self.client,
                settings=told,
                identity=who,
                store=store,
                external=external,
                internal=internal,
                reporter=reporter,
                clock=self._clock,
                participants=participants,
                rosters=Rosters(who),
            )
            queue: WorkQueue[Key] = WorkQueue(draw=self._draw)
            manager = Manager(self._controllers(hub, queue, self._draw), queue, WORKERS)
            watchers = [
                self._watch(self.client, manager.kinds(source), manager.changed, namespaces=namespaces)
                for source, namespaces in ((Source.EVERYWHERE, None), (Source.OWN, (told.namespace,)))
            ]
            self._waited_for = (participants, *watchers)
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
        failures = 0
        while True:
            try:
                who = await vault.identity(self.client)
                await publish(self.client, who, self.told)
                credentials = await vault.store_credentials(self.client)
            except (ApiError, KeyError) as failure:
                failures += 1
                self._missing = str(failure)
                logger.warning("%s; trying again", failure)
                await asyncio.sleep(backoff(failures, most=10, draw=self._draw))
            else:
                logger.info("hub fingerprint %s", who.fingerprint)
                return who, credentials

    async def _bucket(self, store: Store, presigner: Presigner) -> None:
        """Rounds can be read and judged without the store, so that its absence stops no more than it must."""
        failures = 0
        while True:
            try:
                await ensure_bucket(store, presigner, self._clock())
            except StoreError as failure:
                failures += 1
                logger.warning("store %s: %s; trying again", self.told.store_internal, failure)
                await asyncio.sleep(backoff(failures, draw=self._draw))
            else:
                return


async def serve(told: Settings, client: Client, port: int = PORT) -> None:
    async with client:
        hub = Hub(client, told)
        async with health(hub.waiting_for, port):
            await hub.run()


async def _main() -> None:
    await serve(settings.read(os.environ), Client.in_cluster(FIELD_MANAGER))


def main(arguments: Sequence[str]) -> int:
    """Runs until SIGTERM."""
    if arguments:
        print("hub-operator takes no arguments: its settings are environment variables", file=sys.stderr)
        return 64
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kopf").setLevel(logging.ERROR)
    try:
        run_until_terminated(_main())
    except settings.SettingMissing as failure:
        print(failure, file=sys.stderr)
        return 64
    return 0
