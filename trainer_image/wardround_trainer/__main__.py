"""Runs one verb and says how it ended: error.json and the exit status for the contract, a line for the site's log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from wardround_trainer import task, verbs
from wardround_trainer.failure import CODE, Failure

VERBS = {"init": verbs.init, "train": verbs.train, "predict": verbs.predict}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print(f"usage: python -m wardround_trainer {'|'.join(VERBS)}", file=sys.stderr)
        return CODE
    folders = task.Folders.from_environment()
    try:
        VERBS[arguments[0]](folders)
    except Failure as failure:
        print(f"{arguments[0]}: {failure.code}: {failure.message}", file=sys.stderr)
        task.write_json(folders.out / "error.json", {"code": failure.code})
        return failure.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
