"""A hospital that a test plays itself, at the real hub and store: its account there and keys of its own, no cluster.

It seals and sends as a courier does, or not quite: `Lie` says what of it is wrong.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lab import demo_rounds, network
from lab.topology import STORE_PORT, named
from tests.conditions import is_true
from tests.e2e.accounts import administrator, bearer
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, Federation
from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, account
from tests.players import courier
from tests.players.hospital import Hospital, offering
from wardround import tensors
from wardround.api import roundtask
from wardround.cli import enrolment, verbs
from wardround.pod import statistics
from wardround.sealing.keys import SigningKey
from wardround.tabular import dataschema
from wardround.wire import layouts
from wardround.wire.grants import Put

Object = dict[str, Any]
# Whose line to the store is used.
LINE = "site-a"
SAMPLES = 40


@dataclass(frozen=True)
class Lie:
    """What is wrong with an update. `assignment`: fields of it that the hospital seals for instead."""

    assignment: Mapping[str, Any] = field(default_factory=dict)
    signed_by: SigningKey | None = None
    deviation: float = 0.01
    changed_on_the_way: bool = False
    stored: bool = True


HONEST = Lie()


@dataclass(frozen=True)
class SealedUpdate:
    """A sealed update of a Statistics round, and the signed manifest that goes with it."""

    sealed: bytes
    manifest: str


@dataclass(frozen=True)
class Played:
    """The player of a hospital, and its account at the hub."""

    player: Hospital
    api: Api

    @property
    def name(self) -> str:
        return self.player.name

    def publish(self) -> None:
        self.api.patch_status("Participant", self.name, self.player.status(), self.name)

    def seal(self, task: Object, lie: Lie = HONEST) -> SealedUpdate:
        """An update of a Statistics round, for the round that the assignment names."""
        asked = replace(self.player.assignment(roundtask.parse(task).spec), **lie.assignment)
        with TemporaryDirectory() as folder:
            plain, schema_digest = courier.written(_statistics(lie.deviation))
            claims = {"samples": SAMPLES, "schema_digest": schema_digest}
            own = self.player.identity
            identity = replace(own, signing=lie.signed_by or own.signing)
            sealed, sender = asyncio.run(courier.seal(asked, identity, Path(folder, "task"), plain, **claims))
            data = bytearray(sender.folder.ciphertext.read_bytes())
        data[-1] ^= lie.changed_on_the_way
        return SealedUpdate(bytes(data), sealed.envelope)

    def send(self, federation: Federation, task: Object, update: SealedUpdate, *, stored: bool = True) -> None:
        """Accept, ask for a place in the store, put the update there, and say so."""
        put = self.asked_for_place(task, update)
        if stored:
            store(federation, put, update)
        self.say_sent(task, update)

    def asked_for_place(self, task: Object, update: SealedUpdate) -> Put:
        name = task["metadata"]["name"]
        upload = {"upload": {"bytes": len(update.sealed)}}
        self._report(name, upload, "Accepted", "InputReady", "Trained")
        puts: list[Put] = []

        def granted() -> bool:
            spec = roundtask.parse(self.api.get("RoundTask", name, self.name)).spec
            puts[:] = self.player.grants(spec).put or ()
            return bool(puts)

        eventually(f"the hub grants {self.name} a place", granted)
        [put] = puts
        return put

    def say_sent(self, task: Object, update: SealedUpdate) -> None:
        report = {"upload": {"bytes": len(update.sealed)}, "update": {"manifest": update.manifest, "samples": SAMPLES}}
        self._report(task["metadata"]["name"], report, "Accepted", "InputReady", "Trained", "Sent", "Complete")

    def _report(self, task: str, status: Object, *holds: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": now} for kind in holds
        ]
        self.api.patch_status("RoundTask", task, {**status, "conditions": conditions}, self.name)


@contextmanager
def enrolled(federation: Federation, *names: str) -> Iterator[dict[str, Played]]:
    """Hospitals of these names, enrolled, approved and in the federation; nothing is left of them at the end."""
    hub = federation.hub
    fingerprint = _published(federation)["fingerprint"]
    dataset, schema = demo_rounds.dataset()["spec"], demo_rounds.data_schema()["spec"]
    with ExitStack() as stack:
        admin = stack.enter_context(administrator("hub"))
        made = {}
        for name in names:
            stack.callback(federation.kubectl("hub"), "delete", "namespace", name, "--wait=false")
            flows = ("flowschema,prioritylevelconfiguration", enrolment.flow_control_name(name), "--ignore-not-found")
            stack.callback(federation.kubectl("hub"), "delete", *flows)
            verbs.apply_enrolment(hub, name, f"Played by a test: {name}", [federation.namespace])
            api = stack.enter_context(bearer("hub", hub.token("site", name, 3600), HOSPITAL_MANAGER))
            made[name] = Played(offering(name, DATASET, dataset, schema, fingerprint), api)
            admin.await_right(account(name, "site"), "patch", "participants.wardround.io/status", name)
            made[name].publish()
            verbs.pin(hub, name, enrolment.fingerprint_to_pin(verbs.participant(hub, name)))
        eventually("all are trusted", lambda: all(is_true(verbs.participant(hub, name), "Ready") for name in names))
        yield made


def _statistics(deviation: float) -> dict[str, tensors.Array]:
    """Of patients who all deviate so much from the middle of every field; centred as at the real hospitals."""
    table = dataschema.parse(demo_rounds.data_schema()["spec"])
    values = {"sum": SAMPLES * deviation, "squares": SAMPLES * deviation**2, "positives": SAMPLES / 2, "salt": 0.0}
    shapes = layouts.statistics(len(table.features))
    arrays = {name: np.full(shape, values.get(name, SAMPLES), np.float64) for name, shape in shapes.items()}
    return arrays | {"shift": statistics.shift(table)}


def _published(federation: Federation) -> Mapping[str, str]:
    """What the hub publishes about itself."""
    data: Mapping[str, str] = federation.kubectl("hub").get(
        "configmap", "wardround-hub", "-n", federation.hub_namespace
    )["data"]
    return data


def store(federation: Federation, put: Put, update: SealedUpdate) -> None:
    """By the granted URL, from a hospital's network, with the store's certificate checked."""
    bundle = _published(federation)
    url = urlsplit(put.url)
    request = {"host": url.hostname, "path": f"{url.path}?{url.query}", "headers": dict(put.headers)}
    arguments = [named("hub").wan, str(STORE_PORT), bundle["storeCABundle"], json.dumps(request)]
    command = [*network.inside(named(LINE)), sys.executable, "-c", PUT, *arguments]
    subprocess.run(command, input=update.sealed, capture_output=True, check=True, timeout=30)


PUT = """
import http.client, json, socket, ssl, sys
address, port, bundle, request = sys.argv[1:]
request = json.loads(request)
connection = http.client.HTTPSConnection(request["host"], int(port))
plain = socket.create_connection((address, int(port)), 10)
connection.sock = ssl.create_default_context(cadata=bundle).wrap_socket(plain, server_hostname=request["host"])
connection.request("PUT", request["path"], sys.stdin.buffer.read(), request["headers"])
answer = connection.getresponse()
sys.exit(0 if answer.status == 200 else f"{answer.status} {answer.read()}")
"""
