"""Reads the arguments that several verbs have: KIND/NAME, a hospital, numbers, and the namespace."""

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeAlias

from wardround.api.meta import API_VERSION
from wardround.api.site import share
from wardround.cli import verbs
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError, MissingError

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_ALIASES = {
    "Participant": ("participant", "participants", "ptc"),
    "FederatedRound": ("federatedround", "federatedrounds", "fr"),
    "RoundTask": ("roundtask", "roundtasks", "rt"),
    "Site": ("site", "sites"),
    "Approval": ("approval", "approvals", "appr"),
    "SiteTask": ("sitetask", "sitetasks", "st"),
    "Dataset": ("dataset", "datasets", "dset"),
    "FederatedModel": ("federatedmodel", "federatedmodels", "fm"),
    "ModelVersion": ("modelversion", "modelversions", "mv"),
    "ModelTransfer": ("modeltransfer", "modeltransfers", "mt"),
    "ModelPush": ("modelpush", "modelpushes", "mpush"),
    "Prediction": ("prediction", "predictions", "pred"),
}


@contextmanager
def hint_of_namespace(cluster: Cluster, options: argparse.Namespace, kind: str, name: str) -> Iterator[None]:
    """Adds a hint about the namespace to a MissingError: of a Participant in a namespace of another name, and of
    another object if the person named no namespace."""
    try:
        yield
    except MissingError as error:
        if kind == "Participant" and options.namespace not in (None, name):
            raise MissingError(
                f"{error} A Participant lies in the namespace of its own name: leave out -n, or give -n {name}."
            ) from error
        if options.namespace or kind == "Participant":
            raise
        raise MissingError(f"{error} {verbs.elsewhere(cluster, kind, name, cluster.default_namespace)}") from error


def seconds(text: str) -> float:
    """A number of seconds. Raises ValueError, from which argparse makes a message."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError
    return value


def add_timeout(parser: argparse.ArgumentParser, default: float, waits_for: str) -> None:
    """Adds `--timeout` to a verb that waits. `default`: seconds. `waits_for`: what the command waits for."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help=f"how long the command waits for {waits_for}; default: %(default)g",
    )


def share_of_rows(text: str) -> Decimal:
    """A share from 0 to 1. Raises ArgumentTypeError."""
    try:
        return share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from error


def patients(text: str) -> int:
    """A number of patients. Raises ValueError, from which argparse makes a message."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def target(text: str) -> tuple[str, str]:
    """Kind and name from KIND/NAME, also as `kubectl get -o name` prints it (KIND.GROUP/NAME). Raises CommandError."""
    word, _, name = text.partition("/")
    word = word.lower().removesuffix("." + API_VERSION.partition("/")[0])
    for kind, aliases in _ALIASES.items():
        if word in aliases and name:
            return kind, name
    raise CommandError(
        f"{text!r} does not name an object. Write KIND/NAME, and for KIND one of: "
        f"{', '.join(each[0] for each in _ALIASES.values())}."
    )


def unrecognized(before: str | None, surplus: Sequence[str]) -> str:
    """The message about arguments that no verb knows. `before`: the object that the person has named. kubectl takes
    KIND NAME too, and this command does not."""
    message = f"unrecognized arguments: {' '.join(surplus)}"
    kinds = {alias for aliases in _ALIASES.values() for alias in aliases}
    if before is None or before.lower() not in kinds or surplus[0].startswith("-"):
        return message
    return f"{message}. Write {before}/{surplus[0]}"


def hospital(text: str) -> str:
    """A Participant's name, from NAME or participant/NAME. Raises CommandError."""
    if "/" not in text:
        return text
    kind, name = target(text)
    if kind != "Participant":
        raise CommandError(f"{text!r} does not name a hospital. Write its name, or participant/NAME.")
    return name
