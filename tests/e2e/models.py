"""Tensors from the clusters: results, opened with the hub's key, and updates, copied at the sites."""

import base64
import hashlib
import shutil
import threading
from pathlib import Path

from lab.install import SITE_NAMESPACE
from lab.topology import named
from lab.volumes import HUB_NAMESPACE, folder_of
from tests.e2e.clusters import Kubectl
from tests.e2e.federation import Finished
from wardround import tensors
from wardround.sealing.body import Body
from wardround.sealing.envelope import open_envelope
from wardround.sealing.keys import load_signing_key
from wardround.sealing.manifests import parse_model
from wardround.sealing.opener import FileOpener

MODEL = "application/vnd.wardround.model.v1+json"
Tensors = dict[str, tensors.Array]


def result(finished: Finished, folder: Path) -> Tensors:
    """A round's result, opened like the hub's administrator could: with its Secret and the store's disk."""
    hub = Kubectl("hub")
    held = hub.get("secret", f"model-{finished.uid}", "-n", HUB_NAMESPACE)["data"]
    signing = load_signing_key(
        base64.b64decode(hub.get("secret", "hub-signing-key", "-n", HUB_NAMESPACE)["data"]["key"])
    )
    manifest = parse_model(open_envelope(base64.b64decode(held["manifest"]).decode(), MODEL, signing.public_key()))
    stored = folder_of(named("hub"), HUB_NAMESPACE, "store") / "wardround" / manifest.location
    body = Body(base64.b64decode(held["dataKey"]), manifest.header)
    path = folder / f"{finished.name}.safetensors"
    with FileOpener(path, body, manifest.digest) as opener:
        for part in sorted(stored.glob("part-*")):
            opener.feed(part.read_bytes())
        opener.finish()
    assert finished.result["digest"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return read(path)


def read(path: Path) -> Tensors:
    """Every tensor of a canonical file, flat."""
    with path.open("rb") as file:
        return {place[0].name: tensors.read(file, place) for place in tensors.read_layout(file).places}


class Caught:
    """Copies the updates that training pods write for couriers. Couriers delete them after sending."""

    def __init__(self, sites: tuple[str, ...], folder: Path) -> None:
        self._sites = sites
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Caught":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def update(self, site: str, task_uid: str) -> Tensors:
        return read(self._folder / site / f"{task_uid}.safetensors")

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for site in self._sites:
                workspace = folder_of(named(site), SITE_NAMESPACE, "workspace")
                # update.json comes last, so update.safetensors is complete.
                for file in workspace.glob("tasks/*/update/update.json"):
                    self._copy(
                        file.with_name("update.safetensors"), self._folder / site / f"{file.parts[-3]}.safetensors"
                    )

    def _copy(self, update: Path, target: Path) -> None:
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        try:
            shutil.copyfile(update, partial)
        except FileNotFoundError:  # of a task that has just ended
            return
        partial.rename(target)
