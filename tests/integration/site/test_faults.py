"""One request that fails loses nothing: faults between the site operator and the two API servers it talks to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import pytest_asyncio
from aiohttp import web

from tests.integration.api.apiserver import Object, Refused
from tests.integration.api.objects import OURS
from tests.integration.cluster import free_port, token
from tests.integration.site.between import Answer, Between, between
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, enrol, eventually
from tests.integration.site.play import condition, connected, enrolled, job_of
from wardround.clock import system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.errors import Conflict
from wardround.kube.events import Reporter
from wardround.site.context import TaskContext
from wardround.site.control import Controls
from wardround.site.held import HeldTasks
from wardround.site.link import HubLink, connect
from wardround.site.reconcile import TaskReconciler
from wardround.site.site_object import SiteReconciler


class Faults:
    """Between a site and its hub. `requests`: "VERB path" of every request that passed."""

    def __init__(self, proxy: Between) -> None:
        self.requests: list[str] = []
        self._fault: Callable[[web.Request], Answer | None] = lambda _: None
        proxy.instead = self._instead

    def _instead(self, request: web.Request) -> Answer | None:
        self.requests.append(f"{request.method} {request.path}")
        return self._fault(request)

    def fail(self, verb: str, answer: Answer, *, times: int = 1, part: str = "/roundtasks/") -> list[str]:
        """Gives this answer to the next `times` requests of that kind. Returns the list of their paths, which grows."""
        hit: list[str] = []

        def fault(request: web.Request) -> Answer | None:
            if request.method != verb or part not in request.path or len(hit) >= times:
                return None
            hit.append(request.path)
            return answer

        self._fault = fault
        return hit


@pytest_asyncio.fixture
async def hub(site: Site) -> AsyncIterator[Faults]:
    """The site reaches its hub through this."""
    await enrolled(site)
    port = free_port()
    async with between(site.server, site.ca, port) as proxy:
        faults = Faults(proxy)
        enrol(site.api, f"http://127.0.0.1:{port}", site.ca)
        lease = "PATCH /apis/coordination.k8s.io/v1/namespaces/site-a/leases/site"
        await eventually("the site has moved", lambda: lease in faults.requests)
        await eventually("the site is connected", lambda: connected(site) == ("True", "Connected"))
        yield faults
        enrol(site.api, site.server, site.ca)
        await eventually("the hub is there again", lambda: connected(site) == ("True", "Connected"))


def page(code: int) -> Answer:
    """As a load balancer's."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text="<html>something else</html>", content_type="text/html")

    return answer


def status(code: int, reason: str) -> Answer:
    """As an API server's that is busy."""

    async def answer(_: web.Request) -> web.StreamResponse:
        document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": "not now"}
        return web.json_response({**document, "code": code}, status=code)

    return answer


def site_task(site: Site, name: str) -> Object | None:
    try:
        return site.task(name)
    except Refused:
        return None


TEMPORARY = {
    "busy": status(429, "TooManyRequests"),
    "away": status(503, "ServiceUnavailable"),
    "a load balancer's 404": page(404),
    "a proxy's 403": page(403),
    "a page to log in": page(200),
}


async def test_a_failed_request_to_the_hub_neither_loses_nor_ends_a_task(site: Site, hub: Faults) -> None:
    """Each task is asked for once more after the request that failed, though nothing happens to it meanwhile."""
    failed_requests: dict[str, list[str]] = {}
    for fault, answer in TEMPORARY.items():
        hit = hub.fail("GET", answer)
        name = site.hub.ask()["metadata"]["name"]
        await eventually(f"{fault}: the request fails", lambda: hit)  # noqa: B023 - within this turn
        failed_requests[name] = hit
    for name in failed_requests:
        await eventually("the task is taken", lambda: site_task(site, name))  # noqa: B023
    # Each of another task: failures in a row are tried again after ever longer times.
    for name, answer in zip(failed_requests, TEMPORARY.values(), strict=True):
        hit = hub.fail("GET", answer, part=f"/roundtasks/{name}")
        site.hub.touch(name)
        await eventually("the request fails", lambda: hit)  # noqa: B023
    name = next(iter(failed_requests))
    hit = hub.fail("GET", page(404), times=2, part=f"/roundtasks/{name}")
    site.hub.cancel(name)
    await eventually("the requests fail", lambda: len(hit) == 2)
    assert condition(site.task(name), "Failed")["status"] == "Unknown", "a failed request has ended it"
    await eventually("it hears of it", lambda: condition(site.task(name), "Failed")["status"] == "True")
    assert condition(site.task(name), "Failed")["reason"] == "Cancelled"


async def test_a_changed_site_wakes_only_unfinished_tasks(site: Site) -> None:
    await enrolled(site)
    over = site.hub.ask(image="registry.example/x:tag")["metadata"]["name"]
    going = site.hub.ask()["metadata"]["name"]
    await eventually("one is over", lambda: condition(site_task(site, over) or {}, "Failed")["status"] == "True")
    await eventually("one is not", lambda: site_task(site, going))
    woken: list[str] = []

    def wake(name: str, /, *, behind: bool = False) -> None:
        woken.append(name)

    secret = token(site.api, NAMESPACE, "site-operator")
    async with Client(site.server, site.ca, lambda: secret, NAMESPACE, "wardround-site", draw=system_draw) as own:
        link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
        reporter = Reporter(own, "x/y", "test", system_clock)
        held = HeldTasks(own, lambda: None)
        reconciler = SiteReconciler(
            own, reporter, link, held, wake_task=wake, hub_changed=lambda: None, clock=system_clock
        )
        await reconciler.reconcile()
        assert woken == []
        change = {"spec": {"policy": {"minQuorum": time.time_ns() % 7 + 2}}}
        site.api.patch("Site", "site", change, NAMESPACE)
        await reconciler.reconcile()
        await link.close()
    site.api.patch("Site", "site", {"spec": {"policy": {"minQuorum": 1}}}, NAMESPACE)
    assert going in woken
    assert over not in woken


async def test_a_full_site_reports_it_on_both_sides_and_takes_the_task_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrolled(site)
    held = len(site.api.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}/sitetasks")["items"])
    monkeypatch.setattr("wardround.plans.sitetask.memory.MOST", held)
    monkeypatch.setattr("wardround.plans.sitetask.arrival.FULL_SECONDS", 0.5)
    name = site.hub.ask()["metadata"]["name"]

    def reasons() -> tuple[object, object]:
        task = site.api.get("RoundTask", name, PARTICIPANT)
        return condition(task, "Accepted")["reason"], condition(site.api.get("Site", "site", NAMESPACE), "Ready")[
            "reason"
        ]

    await eventually("both say so", lambda: reasons() == ("TooManyTasks", "TooManyTasks"))
    assert site_task(site, name) is None
    monkeypatch.setattr("wardround.plans.sitetask.memory.MOST", held + 64)
    await eventually("the task is taken", lambda: site_task(site, name))
    await eventually("both say so", lambda: reasons() == ("Accepted", "Approved"))


async def undisturbed(look: Callable[[], Awaitable[object]]) -> None:
    """The site's own operator looks at the same tasks. A look that writes after it meets a conflict, and is repeated,
    as a queue does."""
    for _ in range(10):
        with suppress(Conflict):
            await look()
            return
    raise AssertionError("ten looks in a row met a conflict")


async def test_a_reconcile_reads_no_other_task_and_no_other_job(site: Site) -> None:
    """A site keeps hundreds of both, and looks at a task about ten times in a round."""
    await enrolled(site)
    site.api.patch("Site", "site", {"spec": {"workload": {"maxConcurrentTasks": 64}}}, NAMESPACE)
    over = site.hub.ask(image="registry.example/x:tag")["metadata"]["name"]
    trains = site.hub.ask(await site.hub.seal_model(b"model"))["metadata"]["name"]
    await eventually("one trains", lambda: job_of(site, trains))
    await eventually("one is over", lambda: condition(site_task(site, over) or {}, "Failed")["status"] == "True")
    port, secret = free_port(), token(site.api, NAMESPACE, "site-operator")
    async with (
        between(site.server, site.ca, port) as proxy,
        Client(f"http://127.0.0.1:{port}", "", lambda: secret, NAMESPACE, "wardround-site", draw=system_draw) as own,
    ):
        recorded = Faults(proxy)
        link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
        reporter = Reporter(own, "x/y", "test", system_clock)
        held = HeldTasks(own, lambda: None)
        context = TaskContext(
            own=own,
            reporter=reporter,
            link=link,
            held=held,
            controls=Controls(),
            operator_image=OURS,
            participant=lambda: None,
            wake=lambda _: None,
            clock=system_clock,
        )
        tasks = TaskReconciler(context)
        whole = SiteReconciler(
            own, reporter, link, held, wake_task=tasks_are_woken, hub_changed=lambda: None, clock=system_clock
        )
        await undisturbed(lambda: tasks.reconcile(trains))  # the first look of a process reads what there is

        async def looks() -> None:
            recorded.requests.clear()
            for name in (trains, over):
                await tasks.reconcile(name)

        await undisturbed(looks)
        await whole.reconcile()
        await link.close()
    paths = [each.removeprefix("GET ").rpartition(f"/namespaces/{NAMESPACE}/")[2] for each in recorded.requests]
    read = [each for each in paths if each.startswith(("sitetasks", "jobs"))]
    assert read == [f"{kind}/{name}" for name in (trains, over) for kind in ("sitetasks", "jobs")]
    site.hub.cancel(trains)


def tasks_are_woken(name: str, /, *, behind: bool = False) -> None:
    """Nobody looks at them here."""


async def test_the_site_reports_an_end_again_after_the_hub_refused_it(site: Site, hub: Faults) -> None:
    hit = hub.fail("PATCH", status(429, "TooManyRequests"), times=2, part="/status")
    name = site.hub.ask(image="registry.example/x:tag")["metadata"]["name"]

    def has_failed() -> bool:
        return bool(condition(site.api.get("RoundTask", name, PARTICIPANT), "Failed")["status"] == "True")

    await eventually("the hub hears of it", has_failed)
    assert hit
