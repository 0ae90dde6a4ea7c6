"""Starts the process that the container's verb names; knows nothing of what the process does.

Only the verb's module is imported: the containers that touch patient data never load a network client, and the courier
never loads Kopf.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from wardround.confine import confine
from wardround.pipe import leave, quietly

VERBS = {
    "hub-operator": "wardround.hub.operator",
    "site-operator": "wardround.site.operator",
    "courier": "wardround.courier.main",
    "aggregate": "wardround.aggregate.main",
    "prepare": "wardround.pod.prepare",
    "isolation": "wardround.pod.isolation",
    "statistics": "wardround.pod.statistics",
    "check": "wardround.pod.check",
    "score": "wardround.pod.score",
    "prediction": "wardround.card.prediction",
    "answer": "wardround.card.answer",
    "view": "wardround.card.view",
    "merge": "wardround.card.merge",
}
# These verbs live long, and drop what their imports leave behind (kube/process.py).
LONG = ("hub-operator", "site-operator", "courier")
# Verbs for people, on machines of any kind. `confine` knows Linux only.
FOR_PEOPLE = {"simulate": "wardround.simulate.main", "predict": "wardround.card.main"}
# The verbs of `kubectl wardround`, for a computer without kubectl. `dataset check` and `check-enrolment` ask no cluster
# at all.
COMMAND_LINE = (
    "enrol",
    "approve",
    "revoke",
    "check-enrolment",
    "review",
    "deny",
    "withdraw",
    "watch",
    "report",
    "results",
    "explain",
    "dataset",
    "dataschema",
    "model",
    "begin",
    "sweep",
    "compare",
)
# What these verbs import beside Wardround. Images do not hold it.
CLI_PACKAGES = ("kubernetes", "rich")

USAGE = 64  # EX_USAGE of sysexits.h


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb in `argv` (default: the command line) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    modules = {**VERBS, **FOR_PEOPLE}
    if arguments and arguments[0] in COMMAND_LINE:
        return _command_line(arguments)
    if arguments in (["--help"], ["-h"]):
        print(usage())
        return 0
    if not arguments or arguments[0] not in modules:
        print(usage(), file=sys.stderr)
        return USAGE
    if arguments[0] in VERBS:
        confine()
        # Our own threads share the work already. BLAS threads beside them make a norm forty times slower on two cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    name = modules[arguments[0]]
    module = importlib.import_module(name) if arguments[0] in (*LONG, *FOR_PEOPLE) else _short(name)
    if arguments[0] in FOR_PEOPLE:
        return quietly(lambda: int(module.main(arguments[1:])))
    return int(module.main(arguments[1:]))


def _short(name: str) -> ModuleType:
    """Imports the module of a process that ends soon. Python would look for cycles among all that the imports make:
    while it imports, while it works, and at its end. That is a tenth of the time of a small aggregation."""
    gc.disable()
    module = importlib.import_module(name)
    gc.freeze()
    gc.enable()
    return module


def usage() -> str:
    """All verbs, those for people apart from those that only pods run."""
    return "\n".join(
        (
            "usage: wardround VERB [argument ...]",
            "",
            f"Verbs that need no cluster: {', '.join(FOR_PEOPLE)}",
            f"Verbs of `kubectl wardround`, for a computer without kubectl: {', '.join(COMMAND_LINE)}",
            f"These verbs run only in the pods of Wardround. People do not use them: {', '.join(VERBS)}.",
            "",
            "To read what a verb does and takes, run `wardround VERB --help`. The verbs that only pods run have no "
            "help.",
        )
    )


def _command_line(arguments: list[str]) -> int:
    """Runs a verb of `kubectl wardround`."""
    try:
        module = importlib.import_module("wardround.kubectl")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in CLI_PACKAGES:
            raise
        print(
            f"error: `wardround {arguments[0]}` needs {package}, which is not installed. Run, in a copy of "
            "Wardround's repository: pip install '.[cli]'",
            file=sys.stderr,
        )
        return USAGE
    return int(module.main(arguments))


def run() -> NoReturn:
    """The program."""
    leave(main())


if __name__ == "__main__":
    run()
