"""Plays rounds with wardround_trainer, inside the trainer image, as a file says: `python -m tests.simulation FILE`.

The file is JSON: `rounds`, `image` (the trainer's reference, by digest), `tables` by hospital, and `orderKeys` by
hospital as base64. Prints one line of JSON: the digest of each round's result, by name.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from tests.conditions import is_true
from tests.simulation.federation import Trainer
from tests.simulation.rounds import play_rounds, scratch
from wardround.simulate.trainers import run_reference


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    keys = {name: base64.b64decode(key) for name, key in given["orderKeys"].items()}
    tables = {name: (header, rows) for name, (header, rows) in given["tables"].items()}
    trainer = Trainer(run_reference, given["image"])
    with scratch() as folder:
        played = play_rounds(Path(folder), tables, given["rounds"], trainer=trainer, order_keys=keys)
    for each in played.rounds:
        if not is_true(each, "Complete"):
            raise SystemExit(f"{each['metadata']['name']}: {each['status']['conditions']}")
    names = [each["metadata"]["name"] for each in played.rounds]
    print(json.dumps(dict(zip(names, played.digests, strict=True))))


if __name__ == "__main__":
    main()
