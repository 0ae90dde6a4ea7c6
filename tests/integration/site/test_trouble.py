"""A site whose hub is in trouble says how it stands, whatever the hub answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web

from tests.integration.api.apiserver import Refused
from tests.integration.cluster import free_port
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, enrol, eventually
from tests.integration.site.play import condition, connected, enrolled, job_of


@asynccontextmanager
async def nonsense() -> AsyncIterator[str]:
    """A server that answers every request with 200 and an object of no kind."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": 7}, "status": []})

    application = web.Application()
    application.router.add_route("*", "/{anything:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_a_site_reports_its_state_while_the_hub_answers_nonsense(site: Site) -> None:
    await enrolled(site)
    try:
        enrol(site.api, f"https://127.0.0.1:{free_port()}", site.ca)
        await eventually("the hub is away", lambda: connected(site) == ("False", "HubUnreachable"))
        async with nonsense() as url:
            enrol(site.api, url, site.ca)
            await eventually("somebody answers", lambda: connected(site) == ("True", "Connected"))
    finally:
        enrol(site.api, site.server, site.ca)
    await eventually("the hub is there again", lambda: connected(site) == ("True", "Connected"))
    await enrolled(site)


POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
REFUSED = "refused for a moment"


@contextmanager
def refusing(site: Site, group: str, kinds: str) -> Iterator[None]:
    """Until this is over a policy of the cluster refuses all new ones here, and ConfigMaps, to see that it does."""
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "resources": [kinds], "operations": ["CREATE"]}
        for group, kinds in ((group, kinds), ("", "configmaps"))
    ]
    policy = {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "false", "message": REFUSED}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    binding = {"policyName": "refusing", "validationActions": ["Deny"], "matchResources": here}
    for path, spec in ((POLICIES, policy), (BINDINGS, binding)):
        kind = "ValidatingAdmissionPolicy" + ("Binding" if path == BINDINGS else "")
        meta = {"name": "refusing"}
        site.api.call(
            "POST",
            path,
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec},
        )
    try:
        yield
    finally:
        for path in (BINDINGS, POLICIES):
            site.api.call("DELETE", f"{path}/refusing")


def none_is_admitted(site: Site) -> bool:
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": NAMESPACE}}
    try:
        site.api.create(probe, dry_run=True)
    except Refused as refusal:
        return REFUSED in str(refusal)
    return False


async def test_the_site_makes_a_job_after_a_temporary_refusal(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """As when a Dataset has just changed and the API server compares with what it was."""
    await enrolled(site)
    with refusing(site, "batch", "jobs"):
        await eventually("no Job is admitted", lambda: none_is_admitted(site))
        name = site.hub.ask(await site.hub.seal_model(b"model"))["metadata"]["name"]
        await eventually("the API server refuses the Job", lambda: f"{NAMESPACE}/{name}: 422" in caplog.text)
        assert condition(site.task(name), "Failed")["status"] == "Unknown"
        step = condition(site.task(name), "Reconciling")
        assert (step["reason"], REFUSED in step["message"]) == ("JobNotAdmitted", True)
        await eventually("the hub hears of it", lambda: reported_wait(site, name) == "JobNotAdmitted")
    job = await eventually("the Job is made after all", lambda: job_of(site, name))
    assert job["metadata"]["labels"]["wardround.io/dataset"] == "breast"
    assert condition(site.task(name), "Failed")["status"] == "Unknown"


async def test_the_hub_shows_a_refused_sitetask_and_the_site_makes_it_later(site: Site) -> None:
    await enrolled(site)
    with refusing(site, "wardround.io", "sitetasks"):
        await eventually("no SiteTask is admitted", lambda: none_is_admitted(site))
        name = site.hub.ask()["metadata"]["name"]
        await eventually("the hub hears of it", lambda: reported_wait(site, name) == "SiteTaskNotAdmitted")
        assert condition(site.api.get("RoundTask", name, PARTICIPANT), "Accepted")["status"] == "Unknown"
    await eventually("it is made after all", lambda: reported_wait(site, name) != "SiteTaskNotAdmitted")
    assert condition(site.task(name), "Accepted")["status"] == "True"
    site.hub.cancel(name)
    await eventually("it holds no place", lambda: condition(site.task(name), "Failed")["status"] == "True")


def reported_wait(site: Site, name: str) -> str:
    return str(condition(site.api.get("RoundTask", name, PARTICIPANT), "Reconciling")["reason"])


async def test_a_task_whose_job_is_refused_holds_no_place_and_fails_with_that_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardround.plans.sitetask.rules.QUEUE_SECONDS", 3600.0)
    await enrolled(site)
    site.api.patch("Site", "site", {"spec": {"workload": {"maxConcurrentTasks": 1}}}, NAMESPACE)

    def reason(name: str, kind: str) -> str:
        return str(condition(site.api.get("RoundTask", name, PARTICIPANT), kind)["reason"])

    with refusing(site, "batch", "jobs"):
        await eventually("no Job is admitted", lambda: none_is_admitted(site))
        model = await site.hub.seal_model(b"model")
        both = [site.hub.ask(model, wait_seconds=20)["metadata"]["name"] for _ in "ab"]
        refused = ["JobNotAdmitted"] * 2
        await eventually(
            "neither waits for the other", lambda: [reason(each, "Reconciling") for each in both] == refused
        )
        await eventually("both end", lambda: [reason(each, "Failed") for each in both] == refused, 240)
