"""kubectl-wardround: puts the verbs of `cli.commands` and `extras` together, and turns errors into exit codes."""

import argparse
from collections.abc import Callable
from typing import NoReturn

from wardround.cli.arguments import unrecognized
from wardround.cli.cluster import Cluster
from wardround.cli.commands import (
    approvals,
    begin,
    check_enrolment,
    dataschema,
    explain,
    hospitals,
    results,
    sweep,
    watch,
)
from wardround.cli.errors import CommandError
from wardround.cli.terminal import say
from wardround.extras import dataset, model, report
from wardround.pipe import leave, quietly
from wardround.wire import codec

# In the order of the help. A module with a verb has the function `add`.
_COMMANDS = (
    hospitals,
    check_enrolment,
    approvals,
    watch,
    results,
    report,
    explain,
    model,
    begin,
    sweep,
    dataschema,
    dataset,
)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done (`watch`: Complete), 1 `watch`: Failed or deleted, `dataset check` and `dataset read`: not
    Ready, `dataschema digests`: something differs, 2 the command failed, 3 `watch`: its --timeout is over, 141 the
    reader of the output has closed it (as if SIGPIPE had ended the program)."""
    return quietly(lambda: carry_out(arguments))


def carry_out(arguments: list[str] | None) -> int:
    """The exit code of a command."""
    top = parser()
    options, surplus = top.parse_known_args(arguments)
    if surplus:
        top.error(unrecognized(vars(options).get("target") or vars(options).get("name"), surplus))
    run: Callable[[Cluster, argparse.Namespace], int] = options.run
    try:
        return run(Cluster(options.kubeconfig, options.context), options)
    except CommandError as error:
        say(f"error: {error}")
        return 2
    except codec.Malformed as error:
        say(
            f"error: This version of kubectl-wardround cannot read the object: {error}. Install the version of "
            "kubectl-wardround that fits the CRDs of this cluster."
        )
        return 2
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--kubeconfig", help="the kubeconfig file; default: KUBECONFIG or ~/.kube/config")
    shared.add_argument("--context", help="the context of the kubeconfig to use; default: the current context")
    shared.add_argument("-n", "--namespace", help="the namespace of the object; default: the namespace of the context")
    top = argparse.ArgumentParser(
        prog="kubectl wardround",
        description="Enrol and approve hospitals, watch rounds and models, and see why something waits.",
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")
    for command in _COMMANDS:
        command.add(verbs, shared)
    return top


def run() -> NoReturn:
    """The program."""
    leave(main())


if __name__ == "__main__":
    run()
