"""Tries a training image's code without a cluster: statistics, two rounds of training and an evaluation, one hospital.

    python examples/own-image/try_trainer.py DATASET.yaml CASES.csv --frozen 'input.*' \\
      -- python examples/own-image/trainer.py

A hub and a hospital are played, and the hospital's pods run here: the Job, the folders of each container and what runs
around your command (prepare, check, score) are those of a real hospital, and complain of the same things. To try a
whole image, let the command be
`docker run --rm --network none --user $(id -u) -e WARDROUND_ROOT -v /tmp:/tmp IMAGE python /trainer.py`.

Your code has to read the root of all paths from WARDROUND_ROOT. Not tried here: the launcher (so sockets, symbolic
links and io_uring work here and fail at a hospital), the closed network, the read-only file system, and the limits of
CPU and memory.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.players.hospital import Hospital
from tests.players.hub import Hub
from wardround.api import federatedround, site
from wardround.courier.workspace import Workspace
from wardround.plans.courier.step import input_name
from wardround.plans.sitetask.failure import BY_EXIT_CODE
from wardround.simulate.containers import Container, run_ours
from wardround.wire.isolation import IsolationTarget

IMAGE = "registry.example/yours@sha256:" + "0" * 64
NAMESPACE, DATASET = "here", "tried"
# `prepare` wants to see that the network is closed. Here it is not; this port is.
CLOSED = IsolationTarget("nobody", "127.0.0.1", 1, "TCP")


class Refused(Exception):
    """A container failed; the text says which and why."""


@dataclass(frozen=True)
class Pod:
    """A round's pod: its Job, and the folder of each of its volumes."""

    name: str
    round_uid: str
    job: dict[str, Any]
    volumes: dict[str, Path]
    folder: Path
    update: Path

    def run(self, command: list[str]) -> "Pod":
        """Each container after the other, yours as a process with `command`. Raises Refused."""
        spec = self.job["spec"]["template"]["spec"]
        for each in [*spec["initContainers"], *spec["containers"]]:
            if each.get("restartPolicy") != "Always":  # a sidecar watches the network, which is open here
                self._run(Container.make(self.job, each, self.folder / each["name"], self.volumes.__getitem__), command)
        return self

    def _run(self, container: Container, command: list[str]) -> None:
        verb = container.command[-1]
        if container.ours:
            failed = run_ours(container)
            said = json.loads(container.message or "{}")
            reason, message = said.get("reason"), said.get("message")
        else:
            failed = subprocess.run([*command, verb], env=os.environ | container.variables).returncode
            reason, message = BY_EXIT_CODE.get(failed, "TrainerFailed"), f"exit code {failed}"
        if failed:
            raise Refused(f"{self.name}: {verb}: {reason}: {message}")

    def say_data(self) -> None:
        """What `prepare` says of the data; the hospital's Dataset has the same in its status."""
        said = json.loads((self.folder / "prepare" / "termination-log").read_text())
        left_out = ", ".join(f"{each['field']} {each['reason']} {each['rows']}" for each in said["quality"])
        print(f"data: {said['rows']} rows of {said['patients']} patients are used; left out: {left_out or 'none'}")

    def say_update(self) -> None:
        """What our own code makes of the output. A hospital's own metrics stay on its SiteTask. Their sums leave."""
        document = json.loads((self.update / "update.json").read_text())
        said = self.folder / "check" / "termination-log"
        own = json.loads(said.read_text())["metrics"] if said.exists() else []
        numbers = {each["name"]: each["value"] for each in own}
        print(f"{self.name}: {document['samples']} samples, {document['length']} bytes, {numbers}")
        if document["withheld"]:
            print(f"{self.name}: too few patients, or too few in one class: no number about them leaves a hospital")

    @property
    def trained(self) -> bytes:
        return (self.volumes["out"] / "model.safetensors").read_bytes()


class Federation:
    """A hub with one hospital, whose claims are folders here."""

    def __init__(self, folder: Path, dataset: dict[str, Any], rows: Path, parameters: dict[str, str]) -> None:
        self._folder, self._dataset = folder, dataset
        self._hub, self._hospital = Hub(), Hospital("site-a")
        # Here people try what they like; a hospital lists what it allows.
        policy = {"parameters": [{"name": name} for name in parameters], "minSamples": 1}
        hub = {"participantNamespace": "site-a", "fingerprint": self._hub.identity.fingerprint}
        spec = {"hub": hub, "store": {"origin": "https://store.example"}, "policy": policy}
        self._site = site.parse({"metadata": {"name": "site", "namespace": NAMESPACE}, "spec": spec})
        data = folder / "dataset" / dataset["path"]
        data.parent.mkdir(parents=True)
        shutil.copy(rows, data)
        # A hospital's own is its secret, from which `prepare` makes orderSeed. By this one every try is the same.
        order = folder / "state" / "secrets" / "order"
        order.mkdir(parents=True)
        (order / "key").write_bytes(b"only to try a trainer, no secret")

    def pod(self, name: str, task: str, *, base: bytes = b"", after: Pod | None = None, **spec: Any) -> Pod:
        """The pod of a round. `after`: the pod whose state the hospital goes on from."""
        uid, task_uid = str(uuid.uuid4()), str(uuid.uuid4())
        asked = {"task": task, "datasetName": DATASET, "image": IMAGE, "participants": {"names": ["site-a"]}, **spec}
        metadata = {"name": name, "namespace": NAMESPACE, "uid": uid}
        federated_round = federatedround.parse({"metadata": metadata, "spec": asked})
        model = self._hub.seal_model(base, str(uuid.uuid4())).model if base else None
        state_round = after.round_uid if after else ""
        now = datetime.now(UTC)
        sent = self._hub.ask(federated_round, self._hospital.recipient, now, model, state_round=state_round)
        folder = Workspace(self._folder / "workspace").task(task_uid)
        folder.make()
        if base:
            (folder.input / input_name(self._hospital.assignment(sent))).write_bytes(base)
        dataset = {"metadata": {"name": DATASET}, "spec": self._dataset}
        job = self._hospital.job(self._site, task_uid, sent, dataset, [CLOSED])
        here = self._folder / "pods" / name
        claims = {volume: self._folder / volume for volume in ("dataset", "workspace", "state")}
        own = {volume: here / volume for volume in ("memory", "initial", "out", "scratch")}
        return Pod(name, uid, job, claims | own, here / "containers", folder.update)


def rounds(
    folder: Path,
    dataset: dict[str, Any],
    rows: Path,
    command: list[str],
    parameters: dict[str, str],
    frozen: list[str],
) -> None:
    """Raises Refused."""
    federation = Federation(folder, dataset, rows, parameters)
    statistics = federation.pod("statistics", "Statistics").run(command)
    statistics.say_data()
    statistics.say_update()
    exchange = {"frozen": frozen}
    training: dict[str, Any] = {"seed": 7, "parameters": parameters, "metrics": ["loss", "auc"], "exchange": exchange}
    counted = (statistics.update / "update.safetensors").read_bytes()
    first = federation.pod("train-1", "Train", base=counted, initial={}, **training).run(command)
    first.say_update()
    second = federation.pod("train-2", "Train", base=first.trained, after=first, **training).run(command)
    second.say_update()
    scored = {"parameters": parameters, "rows": "Test", "metrics": ["loss", "accuracy", "sensitivity", "auc"]}
    federation.pod("evaluate", "Evaluate", base=second.trained, after=second, **scored).run(command).say_update()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="a Dataset, as YAML")
    parser.add_argument("rows", type=Path, help="the file that it describes")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the round")
    parser.add_argument("--frozen", action="append", default=[], metavar="PATTERN", help="of exchange.frozen")
    parser.add_argument("command", nargs="+", help="your command, without the verb")
    chosen = parser.parse_args()
    parameters = dict(each.split("=", 1) for each in chosen.parameter)
    dataset = yaml.safe_load(chosen.dataset.read_text())["spec"]
    # A hospital's own is its secret, and an example's is none.
    dataset["split"]["key"] = "only-to-try-a-trainer"
    with tempfile.TemporaryDirectory() as folder:
        try:
            rounds(Path(folder), dataset, chosen.rows.resolve(), chosen.command, parameters, chosen.frozen)
        except Refused as why:
            print(f"refused: {why}", file=sys.stderr)
            return 1
    print("All rounds were accepted. What this did not try: see the text of this program.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
