"""Starts the process that the container's verb names; knows nothing of what the process does.

Only the verb's module is imported: the containers that touch patient data never load a network client, and the courier
never loads Kopf.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from wardround.confine import confine

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
}
# Verbs for people, on machines of any kind. `confine` knows Linux only.
FOR_PEOPLE = {"simulate": "wardround.simulate.main", "predict": "wardround.card.main"}

USAGE = 64  # EX_USAGE of sysexits.h


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb in `argv` (default: the command line) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    modules = {**VERBS, **FOR_PEOPLE}
    if not arguments or arguments[0] not in modules:
        print(f"usage: wardround {{{','.join(modules)}}} [argument ...]", file=sys.stderr)
        return USAGE
    if arguments[0] in VERBS:
        confine()
    module = importlib.import_module(modules[arguments[0]])
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
