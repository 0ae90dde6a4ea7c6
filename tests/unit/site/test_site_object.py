"""A look at the Site goes on as far as it can while the hub fails, and does the rest once the hub is back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from tests.worlds.site import FINGERPRINT
from wardround.api import conditions, site
from wardround.kube.errors import Unavailable
from wardround.kube.events import Reporter
from wardround.plans.site.link import Credentials
from wardround.plans.site.plan import CONNECTED_SECONDS, DISCONNECTED_SECONDS
from wardround.ports import Api, Object, TokenSource
from wardround.site.held import HeldTasks
from wardround.site.link import HubLink
from wardround.site.site_object import SiteReconciler

HERE, THERE = "hospital-a", "site-a"
V1 = "wardround.io/v1alpha1"


class Hub(Client):
    """The hub's API server, as the site calls it. `refuses`: the kinds whose status it does not take."""

    refuses: tuple[str, ...] = ()

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        if observed["kind"] in self.refuses:
            raise Unavailable("patch", "not now")
        return await super().apply_status(observed, before, after)


class World:
    def __init__(self, loop: VirtualLoop) -> None:
        self.server, self.hub_server = (Server(f"https://{name}.example", loop.clock) for name in ("site", "hub"))
        token = self.server.token("site-operator", 1e6)
        self.own = Client(self.server, lambda: token, HERE, lambda: 0.001)
        at_hub = self.hub_server.token("site", 1e6)
        self.hub = Hub(self.hub_server, lambda: at_hub, THERE, lambda: 0.001)
        self.woken: list[tuple[str, bool]] = []
        self.link = HubLink(self.own, lambda: None, self._connect)
        self.site = SiteReconciler(
            self.own,
            Reporter(self.own, "x/y", "test", loop.clock),
            self.link,
            HeldTasks(self.own, lambda: None),
            wake_task=self._wake,
            hub_changed=lambda: None,
            clock=loop.clock,
        )
        for server, namespace in ((self.server, HERE), (self.hub_server, THERE)):
            server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        enrolment = {"server": "https://hub.example", "ca.crt": "PEM", "token": "opaque", "namespace": THERE}
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": enrolment}
        self.server.create({**secret, "metadata": {"name": "hub-credentials", "namespace": HERE}})
        spec = {
            "hub": {"participantNamespace": THERE, "fingerprint": FINGERPRINT},
            "store": {"origin": "https://store.example"},
            "policy": {},
            "workload": {},
        }
        self.server.create({**_object("Site", "site", HERE), "spec": spec})
        self.hub_server.create({**_object("Participant", THERE, THERE), "spec": {"keyFingerprint": FINGERPRINT}})

    def task_at_hub(self, name: str) -> None:
        ref = {"namespace": "breast-cancer", "name": "train-1", "uid": f"round-of-{name}"}
        spec = {"roundRef": ref, "attempt": 1, "assignment": "{}", "hubKey": "a"}
        self.hub_server.create({**_object("RoundTask", name, THERE), "spec": spec})

    def published(self) -> object:
        return (self.hub_server.read(Place("Participant", THERE, THERE)).get("status") or {}).get("site")

    def ready(self) -> str:
        status = site.parse(self.server.read(Place("Site", HERE, "site"))).status
        shown = conditions.find(status.conditions, "Ready")
        return shown.reason if shown else ""

    def _connect(self, _: Credentials, __: TokenSource, /) -> Api:
        return self.hub

    def _wake(self, name: str, /, *, behind: bool = False) -> None:
        self.woken.append((name, behind))


def _object(kind: str, name: str, namespace: str) -> Object:
    return {"apiVersion": V1, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def in_virtual_time(main: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run(loop: VirtualLoop) -> None:
        await main(World(loop))

    play(run)


def test_while_the_hub_takes_no_report_the_status_is_written_and_no_task_is_woken() -> None:
    async def play_it(world: World) -> None:
        world.task_at_hub("waits")
        await world.site.reconcile()
        world.link.heartbeat(None)
        world.hub.refuses = ("Participant",)
        assert await world.site.reconcile() == DISCONNECTED_SECONDS
        assert (world.published(), world.woken, world.ready()) == (None, [], "NoKeys")
        world.hub.refuses = ()
        assert await world.site.reconcile() == CONNECTED_SECONDS
        assert world.published() is not None
        assert world.woken == [("waits", False)]

    in_virtual_time(play_it)


def test_tasks_at_the_hub_are_looked_at_once_after_each_time_without_the_hub() -> None:
    async def play_it(world: World) -> None:
        world.task_at_hub("waits")
        await world.site.reconcile()
        assert world.woken == []
        world.link.heartbeat(None)
        for _ in range(2):
            await world.site.reconcile()
            assert world.woken == [("waits", False)]
        world.site.disconnected()
        await world.site.reconcile()
        assert world.woken == [("waits", False)] * 2

    in_virtual_time(play_it)
