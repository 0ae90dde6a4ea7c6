"""Runs one verb, and reports a failure in error.json, by the exit status, and in the site's log."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from wardround_trainer import task, verbs
from wardround_trainer.failure import CODE, ParametersError, TrainerError

VERBS = {"init": verbs.init, "train": verbs.train, "predict": verbs.predict}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print(f"usage: python -m wardround_trainer {'|'.join(VERBS)}", file=sys.stderr)
        return CODE
    folders = task.Folders.from_environment()
    try:
        VERBS[arguments[0]](folders)
    except TrainerError as failure:
        print(f"{arguments[0]}: {failure.code}: {failure.message}", file=sys.stderr)
        task.write_json(folders.out / "error.json", {"code": failure.code})
        if isinstance(failure, ParametersError) and failure.parameter:
            _report_parameter(failure.parameter)
        return failure.status
    return 0


def _report_parameter(parameter: str) -> None:
    """Writes the parameter's name to the termination message. If the round has set it, the site passes the name on to
    the round's author. Outside Kubernetes there is no such file."""
    path = Path(os.environ.get("WARDROUND_TERMINATION_LOG", "/dev/termination-log"))
    if path.is_file():
        path.write_text(json.dumps({"parameter": parameter}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
