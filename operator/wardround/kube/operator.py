"""Turns the events of one API server into keys, with Kopf. Decides nothing: its handlers only add keys to a queue.

Each Kopf operator runs in a thread and an event loop of its own, because a 403 or a refused connection ends it for
good, and it then cancels every task of its loop. A new one is started, with back-off. docs/changing.md says which kinds
are watched without Kopf, and why.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, cast

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from wardround.clock import Clock, Draw
from wardround.kube.client import SMALL_PAGE, backoff, failed_in_a_row
from wardround.kube.controller import gone
from wardround.kube.errors import ApiError
from wardround.kube.resources import RESOURCES
from wardround.ports import Api, Object, OnObject
from wardround.store.http import aiohttp

LOGIN_LIFETIME = timedelta(minutes=20)
CLOSING_SECONDS = 0.25
# Kopf keeps a worker and its last event this long for each object that it hears of.
IDLE_SECONDS = 0.1
logger = logging.getLogger(__name__)


class Watcher:
    """Watches some kinds at one API server, in exact namespaces or everywhere.

    `on_object(kind, object)` is called in the main loop for each object listed and each event; it should only derive
    keys and add them to a queue. An object that is gone has a `deletionTimestamp`.
    """

    def __init__(
        self,
        client: Api,
        kinds: Iterable[str],
        on_object: OnObject,
        *,
        namespaces: tuple[str, ...] | None,
        clock: Clock,
        draw: Draw,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self.client = client
        self.kinds = tuple(kinds)
        self.namespaces = namespaces
        self.on_object = on_object
        self.listed = False

    @property
    def missing(self) -> str:
        """Readiness still waits for this: the first list of each kind."""
        return "" if self.listed else f"the first list of {', '.join(self.kinds)} at {self.client.server}"

    async def run(self) -> None:
        """Lists and then follows, for ever. Starts anew when either ends."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._list()
                self.listed = True
                await self._follow(loop)
                logger.warning("watching %s ended", self.client.server)
            except (ApiError, _Ended) as failure:
                logger.warning("watching %s ended: %s", self.client.server, failure)
            except Exception:
                # A hub with malformed answers must not end the site operator.
                logger.exception("watching %s broke off", self.client.server)
            failures = failed_in_a_row(failures, loop.time() - started)
            await asyncio.sleep(backoff(failures, draw=self._draw))

    async def _list(self) -> None:
        """The list also shows that the kinds exist: Kopf ignores a kind that does not exist when Kopf starts."""
        for kind in self.kinds:
            for namespace in self.namespaces or (None,):
                async for item in self.client.each(kind, namespace, everywhere=namespace is None):
                    self.on_object(kind, item)

    async def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        ended: asyncio.Future[str | None] = loop.create_future()
        thread = _OperatorThread(self, loop, ended)
        thread.start()
        try:
            reason = await asyncio.shield(ended)
        except asyncio.CancelledError:
            thread.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended, timeout=10)
            raise
        if reason is not None:
            raise _Ended(reason)

    def settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.peering.standalone = True
        settings.scanning.disabled = True
        settings.watching.server_timeout = 300
        settings.watching.connect_timeout = 10
        # After years a federation has thousands of objects that are over. They must never all be in memory at a time.
        settings.watching.chunk_size = SMALL_PAGE
        settings.queueing.idle_timeout = IDLE_SECONDS
        return settings

    def registry(self, emit: Callable[[str, Object], None]) -> kopf.OperatorRegistry:
        """A new registry for each start: a registry remembers what it resolved at the start before."""
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(
                server=self.client.server,
                aiohttp_session=_session(self.client),
                expiration=self._clock() + LOGIN_LIFETIME,
            )

        kopf.on.login(id="login", registry=registry, retries=3, backoff=1)(login)
        for kind in self.kinds:
            resource = RESOURCES[kind]
            group, _, version = resource.api_version.rpartition("/")

            # A coroutine: Kopf would run a function in threads, and each thread costs memory.
            async def changed(event: Any, kind: str = kind, **_: Any) -> None:
                item = dict(event["object"])
                emit(kind, gone(item, self._clock()) if event["type"] == "DELETED" else item)

            kopf.on.event(group, version, resource.plural, id=f"changed-{resource.plural}", registry=registry)(changed)
        return registry


class Redirected(Exception):
    """The API server, or a proxy in front of it, redirects the watch. The watch does not follow."""


def _session(client: Api) -> aiohttp.ClientSession:
    """The session that Kopf uses and closes. Kopf's own sessions follow redirects: within the server with the token,
    and to any other address without it."""
    redirects = aiohttp.TraceConfig()
    redirects.on_request_redirect.append(_refuse)
    tls = ssl.create_default_context(cadata=client.ca_pem or None)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        headers={"Authorization": f"Bearer {client.token()}"},
        trust_env=False,
        trace_configs=[redirects],
    )


async def _refuse(_: aiohttp.ClientSession, __: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    redirect.response.close()
    raise Redirected(
        f"{redirect.url.origin()} answers {redirect.response.status}, a redirect. Wardround follows no redirect: use "
        "the address at which the API server itself answers, or remove the redirect from the proxy in front of it"
    )


class _Ended(Exception):
    """Kopf gave up; the message says why."""


class _NoMemories(ResourceMemories):
    """Kopf keeps 1 KB of each object that exists, for handlers with a state. Ours have none."""

    async def recall(self, *args: Any, ephemeral: bool = True, **more: Any) -> ResourceMemory:
        return await super().recall(*args, ephemeral=True, **more)


class _OperatorThread(threading.Thread):
    def __init__(self, watcher: Watcher, main: asyncio.AbstractEventLoop, ended: asyncio.Future[str | None]) -> None:
        super().__init__(name=f"kopf {watcher.client.server}", daemon=True)
        self._watcher = watcher
        self._main = main
        self._ended = ended
        # The flag exists before the thread runs, so that `stop` works before the thread has begun.
        self._loop = asyncio.new_event_loop()
        self._flag = asyncio.Event()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._flag.set)

    def run(self) -> None:
        reason: str | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._operator())
        except Exception as failure:
            reason = f"{type(failure).__name__}: {failure}"
        with contextlib.suppress(RuntimeError):  # the main loop may be closed by now: the process ends
            self._main.call_soon_threadsafe(self._tell, reason)

    def _tell(self, reason: str | None) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _operator(self) -> None:
        watcher = self._watcher
        await kopf.operator(
            registry=watcher.registry(self._emit),
            settings=watcher.settings(),
            memories=_NoMemories(),
            standalone=True,
            # Without it Kopf looks up the user's name, and the numeric user of a container has none.
            identity=cast(Any, "wardround"),  # Kopf's type for it is a str with a private name
            clusterwide=watcher.namespaces is None,
            namespaces=watcher.namespaces or (),
            stop_flag=self._flag,
        )
        # TLS connections that Kopf has closed end in the next turns of the loop, which must not end before.
        await asyncio.sleep(CLOSING_SECONDS)

    def _emit(self, kind: str, item: Object) -> None:
        self._main.call_soon_threadsafe(self._watcher.on_object, kind, item)
