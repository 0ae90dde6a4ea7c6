"""A hospital that a test plays itself, at the real hub and store: its account there and keys of its own, no cluster.

It seals and sends as a courier does, or not quite: `Lie` says what of it is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lab import demo_rounds, network
from lab.topology import STORE_PORT, named
from tests.e2e.accounts import administrator, bearer
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, Federation
from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, account
from wardround import tensors
from wardround.cli import enrolment, verbs
from wardround.cli.objects import is_true
from wardround.pod import statistics
from wardround.sealing import untrusted
from wardround.sealing.body import UPDATE, new_file_key, new_header
from wardround.sealing.files import seal_file
from wardround.sealing.keys import (
    DecryptionKey,
    RecipientKey,
    SigningKey,
    dump_verification_key,
    generate_signing_key,
    load_verification_key,
)
from wardround.sealing.manifests import open_assignment, open_grants, sign_update
from wardround.sealing.wrap import update_context, wrap
from wardround.tabular import schema
from wardround.wire import canonical, layouts
from wardround.wire.grants import Grants, Put
from wardround.wire.models import UpdateManifest

Object = dict[str, Any]
# Whose line to the store is used.
LINE = "site-a"
SAMPLES = 40
DATASETS = [{"name": DATASET}]


@dataclass(frozen=True)
class Lie:
    """What is wrong with an update. `header`: fields of the signed header that say something else than they should."""

    header: Mapping[str, Any] = field(default_factory=dict)
    signed_by: SigningKey | None = None
    deviation: float = 0.01
    changed_on_the_way: bool = False
    stored: bool = True


HONEST = Lie()


@dataclass(frozen=True)
class Update:
    """A sealed update of a Statistics round, and the signed manifest that goes with it."""

    sealed: bytes
    manifest: str


@dataclass(frozen=True)
class Played:
    name: str
    api: Api
    signing: SigningKey = field(default_factory=generate_signing_key)
    decryption: DecryptionKey = field(default_factory=DecryptionKey.generate)

    def publish(self) -> None:
        keys = {
            "signing": canonical.encode(dump_verification_key(self.signing.public_key())),
            "decryption": canonical.encode(self.decryption.public.raw),
        }
        self.api.patch_status("Participant", self.name, {"site": {"keys": keys, "datasets": DATASETS}}, self.name)

    def seal(self, task: Object, lie: Lie = HONEST) -> Update:
        """An update of a Statistics round, for the round that the assignment names."""
        key = load_verification_key(untrusted.decode(task["spec"]["hubKey"], "HubNotPinned"))
        assignment = open_assignment(task["spec"]["assignment"], key)
        with TemporaryDirectory() as folder:
            plain, sealed_file = Path(folder, "update"), Path(folder, "sealed")
            tensors.write(plain, _statistics(lie.deviation))
            file_key = new_file_key()
            told = {"round_uid": assignment.round_uid, "attempt": assignment.attempt, "participant": self.name}
            header = new_header(
                file_key,
                kind=UPDATE,
                base_digest="",
                image_digest=assignment.image_digest,
                schema_digest=tensors.layout(plain).schema_digest,
                length=plain.stat().st_size,
                **{**told, **lie.header},
            )
            sealed = seal_file(plain, sealed_file, header, file_key)
            data = bytearray(sealed_file.read_bytes())
        context = update_context(assignment.round_uid, assignment.attempt, self.name, sealed.digest)
        manifest = UpdateManifest(
            header=header,
            digest=sealed.digest,
            wrapped_key=wrap(file_key, RecipientKey.load(assignment.round_public_key), context),
            samples=SAMPLES,
            metrics={},
            suppressed=(),
            bytes=sealed.bytes,
            expires=assignment.expires,
        )
        data[-1] ^= lie.changed_on_the_way
        return Update(bytes(data), sign_update(manifest, lie.signed_by or self.signing))

    def send(self, federation: Federation, task: Object, update: Update, *, stored: bool = True) -> None:
        """Accept, ask for a place in the store, put the update there, and say so."""
        put = self.asked_for_place(task, update)
        if stored:
            store(federation, put, update)
        self.say_sent(task, update)

    def asked_for_place(self, task: Object, update: Update) -> Put:
        name = task["metadata"]["name"]
        upload = {"upload": {"bytes": len(update.sealed)}}
        self._report(name, upload, "Accepted", "InputReady", "Trained")
        found: list[Put] = []

        def granted() -> bool:
            found[:] = self._grants(name).put or ()
            return bool(found)

        eventually(f"the hub grants {self.name} a place", granted)
        [put] = found
        return put

    def say_sent(self, task: Object, update: Update) -> None:
        told = {"upload": {"bytes": len(update.sealed)}, "update": {"manifest": update.manifest, "samples": SAMPLES}}
        self._report(task["metadata"]["name"], told, "Accepted", "InputReady", "Trained", "Sent", "Complete")

    def _grants(self, task: str) -> Grants:
        spec = self.api.get("RoundTask", task, self.name)["spec"]
        sealed = untrusted.decode(spec["grants"], "KeyUnusable")
        uid, attempt = spec["roundRef"]["uid"], spec["attempt"]
        return open_grants(sealed, self.decryption, round_uid=uid, attempt=attempt, participant=self.name)

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
    with ExitStack() as stack:
        admin = stack.enter_context(administrator("hub"))
        made = {}
        for name in names:
            stack.callback(federation.kubectl("hub"), "delete", "namespace", name, "--wait=false")
            flows = ("flowschema,prioritylevelconfiguration", enrolment.flow_control_name(name), "--ignore-not-found")
            stack.callback(federation.kubectl("hub"), "delete", *flows)
            verbs.apply_enrolment(hub, name, f"Played by a test: {name}", [federation.namespace])
            api = stack.enter_context(bearer("hub", hub.token("site", name, 3600), HOSPITAL_MANAGER))
            made[name] = Played(name, api)
            admin.await_right(account(name, "site"), "patch", "participants.wardround.io/status", name)
            made[name].publish()
            verbs.pin(hub, name, enrolment.fingerprint_to_pin(verbs.participant(hub, name)))
        eventually("all are trusted", lambda: all(is_true(verbs.participant(hub, name), "Ready") for name in names))
        yield made


def _statistics(deviation: float) -> dict[str, tensors.Array]:
    """Of patients who all deviate so much from the middle of every field; centred as at the real hospitals."""
    table = schema.parse(demo_rounds.dataset("a-split-key-of-nobody")["spec"]["schema"])
    values = {"sum": SAMPLES * deviation, "squares": SAMPLES * deviation**2, "positives": SAMPLES / 2}
    shapes = layouts.statistics(len(table.features))
    found = {name: np.full(shape, values.get(name, SAMPLES), np.float64) for name, shape in shapes.items()}
    return found | {"shift": statistics.shift(table)}


def store(federation: Federation, put: Put, update: Update) -> None:
    """By the granted URL, from a hospital's network, with the store's certificate checked."""
    bundle = federation.kubectl("hub").get("configmap", "wardround-hub", "-n", federation.hub_namespace)["data"]
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
