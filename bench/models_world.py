"""Starts the world of bench/models.py: an API server with the charts, a store, the hub operator, and the players."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from bench.models_players import Kubelet, Player, Site
from lab import toolchain
from lab.apiserver import apiserver
from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api
from tests.integration.api.objects import FEDERATION, HUB, PARTICIPANTS, ROOT, data_schema, hub_values
from tests.integration.cluster import Helm, enrol
from tests.integration.hub.conftest import store_settings
from tests.integration.hub.hospital import Hospital, until
from tests.players.store import Server
from wardround.clock import system_draw
from wardround.kube.client import Client
from wardround.kube.resources import RESOURCES

KINDS = ("FederatedModel", "ModelVersion", "FederatedRound", "RoundTask", "Job", "Pod", "Secret", "ConfigMap", "Event")
TOKEN_SECONDS = 24 * 3600
PLAYERS = "players"
MEMORY = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB$", re.MULTILINE)
# Libraries import other packages if they are there, such as the official client. The image has none of these packages,
# so their memory must not count.
_STARTER = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
runpy.run_module("bench.models_operator", run_name="__main__")
"""


@dataclass
class Operator:
    """The running process of the hub operator."""

    process: subprocess.Popen[bytes]
    report: Path

    def megabytes(self) -> tuple[float, float]:
        """Resident memory, and the largest so far, in thousands of KiB, as in docs/figures.md."""
        values = dict(MEMORY.findall(Path(f"/proc/{self.process.pid}/status").read_text()))
        return int(values["VmRSS"]) / 1000, int(values["VmHWM"]) / 1000

    def processor(self) -> float:
        """Seconds of processor time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def fresh_report(self) -> dict[str, Any]:
        """A fresh report of the process."""
        self.report.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        while not self.report.exists():
            if self.process.poll() is not None:
                raise SystemExit("the hub operator has ended")
            await asyncio.sleep(0.05)
        content: dict[str, Any] = json.loads(self.report.read_text())
        return content

    async def requests(self) -> Counter[str]:
        return Counter((await self.fresh_report())["requests"])


@dataclass
class World:
    """The hub, and a client that may do everything there."""

    client: Client
    operator: Operator
    kubelet: Kubelet
    samples: list[dict[str, Any]] = field(default_factory=list)

    async def counts(self) -> dict[str, int]:
        """How many objects of each kind there are."""
        return {kind: await self._count(kind) for kind in KINDS}

    async def _count(self, kind: str) -> int:
        page = await self.client._call("GET", kind, None, query={"limit": "1"})
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))


@contextmanager
def cluster(folder: Path, store: str) -> Iterator[Api]:
    """`store`: the origin of the store."""
    with apiserver(made(folder / "apiserver")) as server:
        api, helm = Api(server.kubeconfig), Helm(toolchain.tool("helm"), server.kubeconfig, folder)
        helm.install("wardround-crds", "crds", "default", {}, "--wait")
        helm.install("wardround-hub", "hub", HUB, hub_values(store))
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FEDERATION}})
        api.create(data_schema(FEDERATION))
        for name in PARTICIPANTS:
            enrol(api, name)
        _administrator(api)
        yield api
        api.close()


def _administrator(api: Api) -> None:
    """An account that may do everything, for the players."""
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": PLAYERS, "namespace": "default"}})
    api.call(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": PLAYERS},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": PLAYERS, "namespace": "default"}],
        },
    )


@asynccontextmanager
async def running(
    folder: Path, api: Api, server: Server, *, trace: bool, search_seconds: float
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        operator = stack.enter_context(_operator(folder, api, server, trace=trace, search_seconds=search_seconds))
        store = await stack.enter_async_context(server.client())
        client = await stack.enter_async_context(_client(api, "default", PLAYERS))
        kubelet = Kubelet(client, store)
        players: list[Player] = [kubelet]
        fingerprint = await _published(client)
        for name in PARTICIPANTS:
            account = await stack.enter_async_context(_client(api, name, "site", HOSPITAL_MANAGER))
            hospital = Hospital(name, account, fingerprint)
            await _approve(api, hospital)
            players.append(Site(hospital, store, made(folder / f"workspace-{name}")))
        playing = [asyncio.create_task(each.run()) for each in players]
        for each in playing:
            each.add_done_callback(_end_if_failed)
        yield World(client, operator, kubelet)
        for each in playing:
            each.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


def _end_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        asyncio.get_running_loop().call_exception_handler({"message": "a player failed", "exception": task.exception()})
        os.kill(os.getpid(), signal.SIGINT)


async def _published(client: Client) -> str:
    """The fingerprint of the hub. Until the operator has published it, no hospital gets a token."""

    async def fingerprint() -> str | None:
        item = await client.get_if_exists("ConfigMap", "wardround-hub", HUB)
        return item["data"].get("fingerprint") if item else None

    published: str = await until(fingerprint, "the hub's ConfigMap")
    return published


async def _approve(api: Api, hospital: Hospital) -> None:
    await hospital.publish()
    api.patch("Participant", hospital.name, {"spec": {"keyFingerprint": hospital.fingerprint}}, hospital.name)


def _client(api: Api, namespace: str, account: str, manager: str = "") -> Client:
    configuration: Any = api._client.configuration
    token = _token(api, namespace, account)
    return Client(
        configuration.host,
        Path(configuration.ssl_ca_cert).read_text(),
        lambda: token,
        namespace,
        manager,
        draw=system_draw,
    )


def _token(api: Api, namespace: str, account: str) -> str:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    reply = api.call("POST", RESOURCES["ServiceAccount"].path(namespace, account, "token"), body)
    return str(reply["status"]["token"])


@contextmanager
def _operator(folder: Path, api: Api, server: Server, *, trace: bool, search_seconds: float) -> Iterator[Operator]:
    configuration: Any = api._client.configuration
    instructions = {
        "settings": dataclasses.asdict(store_settings(api, server)),
        "server": configuration.host,
        "ca": Path(configuration.ssl_ca_cert).read_text(),
        "token": _token(api, HUB, "hub-operator"),
        "namespace": HUB,
        "port": 0,
        "report": str(folder / "report"),
        "trace": trace,
        "search": search_seconds,
    }
    chart = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}",
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "1"),
    }
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _STARTER, *_absent()],
            stdin=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env=chart,
        )
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(instructions).encode())
            process.stdin.close()
            yield Operator(process, folder / "report")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            process.wait()
            print((folder / "operator.log").read_text()[-3000:], file=sys.stderr)


def _absent() -> list[str]:
    """Modules of this environment that the operator's image does not have."""
    lines = (ROOT / "requirements/operator.txt").read_text().splitlines()
    image = {_normal(line.partition("==")[0]) for line in lines if "==" in line}
    modules = packages_distributions().items()
    return sorted(name for name, packages in modules if not image & set(map(_normal, packages)))


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
