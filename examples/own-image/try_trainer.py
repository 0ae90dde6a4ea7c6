"""Tries a training image's code without a cluster: statistics, two rounds of training and an evaluation, one hospital.

    python examples/own-image/try_trainer.py DATASET.yaml CASES.csv -- python examples/own-image/trainer.py

What runs around your command (prepare, check, score) is what runs around it in the pod, and complains of the same
things. What training leaves in state/out/ is what the next round finds in state/in/. Not tried here: that the pod has
no network, and nothing to write to but out/, state/out/, checkpoint/ and /tmp. To try a whole image, let the command
be `docker run --rm --network none --user $(id -u) -e WARDROUND_ROOT -v /tmp:/tmp IMAGE python /trainer.py`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import yaml

from wardround.api import dataset_text, parameters_text
from wardround.api.site import LEAST_CELL, AllowedParameter
from wardround.wire import codec
from wardround.wire.assignment import Exchange
from wardround.wire.digests import file_digest
from wardround.wire.training import CONTRACT, LiveRounds, RequestedTask, RoundAttempt

# `prepare` wants to see that the network is closed. Here it is not; this port is.
CLOSED = [{"name": "nobody", "host": "127.0.0.1", "port": 1, "protocol": "TCP"}]
# Nor does it ask the neighbours of this machine: our verbs run as in a pod without IPv6.
WITHOUT_NEIGHBOURS = """
import sys
from pathlib import Path
from wardround import __main__
from wardround.network import addresses
addresses.INTERFACES = addresses.SETTINGS = Path("/no-such-folder")
sys.exit(__main__.main())
"""


class Refused(Exception):
    """A container failed; the text says which and why."""


class Pod:
    """The folders of one round's pod, and its containers as processes. `after`: the pod whose state training reads."""

    def __init__(
        self, root: Path, dataset: dict[str, Any], rows: Path, command: list[str], after: "Pod | None" = None
    ) -> None:
        self.root, self.round_uid = root, str(uuid.uuid4())
        self._dataset, self._command, self._after = dataset, command, after
        for folder in ("raw", "base", "out", "checkpoint", "state/in", "state/out"):
            (root / folder).mkdir(parents=True)
        if after is not None:
            shutil.copytree(after.root / "state" / "out", root / "state" / "in", dirs_exist_ok=True)
        (root / "raw" / dataset["path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(rows, root / "raw" / dataset["path"])
        # A hospital's own is its secret, from which `prepare` makes orderSeed. By this one every try is the same.
        (root / "secrets" / "order").mkdir(parents=True)
        (root / "secrets" / "order" / "key").write_bytes(b"only to try a trainer, no secret")
        self._environment = os.environ | {
            "WARDROUND_ROOT": str(root),
            "WARDROUND_TERMINATION_LOG": str(root / "said"),
            "WARDROUND_ISOLATION": json.dumps(CLOSED),
            "WARDROUND_ISOLATION_SECONDS": "0.25",
            "WARDROUND_LINK_LOCAL": "Warn",
        }

    def prepare(self, task: str, parameters: dict[str, str], base_digest: str, metrics: list[str]) -> None:
        request = RequestedTask(
            contract=CONTRACT,
            participant="site-a",
            seed=7,
            round=RoundAttempt(self.root.name, 1),
            round_uid=self.round_uid,
            state_round=self._after.round_uid if self._after else "",
            base_digest=base_digest,
            image_digest="",
            parameters=parameters,
            exchange=Exchange(("input.*",)),
            metrics=tuple(metrics),
            max_samples=2**53 - 1,
            live_rounds=LiveRounds((), (), "1970-01-01T00:00:00Z"),
        )
        self._environment |= {
            "WARDROUND_TASK": codec.write_document(request).decode(),
            "WARDROUND_KIND": task,
            "WARDROUND_DATASET": dataset_text.dump(self._dataset),
            "WARDROUND_MIN_SAMPLES": "1",
            "WARDROUND_MIN_CELL": str(LEAST_CELL),
            # Here people try what they like; a hospital lists what it allows.
            "WARDROUND_ALLOWED_PARAMETERS": parameters_text.dump(AllowedParameter(name=name) for name in parameters),
        }
        self.ours("prepare")

    def found(self) -> str:
        """What `prepare` says of the data; the hospital's Dataset has the same in its status."""
        said = json.loads((self.root / "said").read_text())
        left_out = ", ".join(f"{each['field']} {each['reason']} {each['rows']}" for each in said["quality"])
        return f"data: {said['rows']} rows of {said['patients']} patients are used; left out: {left_out or 'none'}"

    def ours(self, verb: str) -> None:
        done = subprocess.run([sys.executable, "-c", WITHOUT_NEIGHBOURS, verb], env=self._environment)
        if done.returncode:
            said = json.loads((self.root / "said").read_text())
            raise Refused(f"{self.root.name}: {verb}: {said['reason']}: {said['message']}")

    def theirs(self, verb: str) -> None:
        done = subprocess.run([*self._command, verb], env=self._environment)
        if done.returncode:
            reason = {64: "ParametersRefused", 65: "DataUnreadable", 75: "PodFailed"}.get(
                done.returncode, "TrainerFailed"
            )
            raise Refused(f"{self.root.name}: {verb}: {reason}: exit code {done.returncode}")

    def has_left(self, verb: str) -> dict[str, Any]:
        """What would leave the hospital, after our own code has looked at it."""
        self.ours(verb)
        document: dict[str, Any] = json.loads((self.root / "update" / "update.json").read_text())
        print(f"{self.root.name}: {document['samples']} samples, {document['length']} bytes, {document['metrics']}")
        if document["suppressed"]:
            print(f"{self.root.name}: over too few patients to leave a hospital: {', '.join(document['suppressed'])}")
        return document


def rounds(folder: Path, dataset: dict[str, Any], rows: Path, command: list[str], parameters: dict[str, str]) -> None:
    """Raises Refused."""

    def pod(name: str, after: Pod | None = None) -> Pod:
        return Pod(folder / name, dataset, rows, command, after)

    statistics = pod("statistics")
    statistics.prepare("Statistics", {}, "", [])
    print(statistics.found())
    statistics.ours("statistics")
    statistics.has_left("check")

    first = pod("train-1")
    shutil.copy(statistics.root / "update" / "update.safetensors", first.root / "base" / "statistics.safetensors")
    first.prepare("Train", parameters, "", ["loss"])
    first.theirs("init")
    # From here on what `init` left is the base, as it will be for every later round.
    shutil.rmtree(first.root / "base")
    (first.root / "out").rename(first.root / "base")
    (first.root / "out").mkdir()
    first.theirs("train")
    first.has_left("check")

    second = pod("train-2", after=first)
    base = shutil.copy(first.root / "out" / "model.safetensors", second.root / "base")
    digest = file_digest(Path(base))
    second.prepare("Train", parameters, digest, ["loss"])
    second.theirs("train")
    second.has_left("check")

    evaluate = pod("evaluate", after=second)
    # An evaluation reads a state and leaves none.
    (evaluate.root / "state" / "out").rmdir()
    (evaluate.root / "checkpoint").rmdir()
    shutil.copy(second.root / "out" / "model.safetensors", evaluate.root / "base")
    evaluate.prepare("Evaluate", parameters, digest, ["accuracy", "sensitivity", "auc", "rows", "positives"])
    evaluate.theirs("predict")
    evaluate.has_left("score")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="a Dataset, as YAML")
    parser.add_argument("rows", type=Path, help="the file that it describes")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the round")
    parser.add_argument("command", nargs="+", help="your command, without the verb")
    chosen = parser.parse_args()
    parameters = dict(each.split("=", 1) for each in chosen.parameter)
    dataset = yaml.safe_load(chosen.dataset.read_text())["spec"]
    # A hospital's own is its secret, and an example's is none.
    dataset["split"]["key"] = "only-to-try-a-trainer"
    with tempfile.TemporaryDirectory() as folder:
        try:
            rounds(Path(folder), dataset, chosen.rows.resolve(), chosen.command, parameters)
        except Refused as why:
            print(f"refused: {why}", file=sys.stderr)
            return 1
    print("A pod would have taken all of it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
