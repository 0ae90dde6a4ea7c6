"""The verb report, with the card that the hub has signed if the person has it. To verify a card needs `models`."""

import argparse
from pathlib import Path

from wardround.api import federatedmodel
from wardround.cli.arguments import Parsers, target
from wardround.cli.cluster import Cluster
from wardround.cli.commands import report
from wardround.cli.errors import CommandError
from wardround.cli.report.seen import SignedCard
from wardround.extras.model_requests import check_fingerprint


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    reporting = report.add(parsers, shared)
    reporting.add_argument(
        "--card",
        type=Path,
        metavar="FOLDER",
        help="a folder that `model pull` has written, or the folder of a version on a hospital's claim of models. The "
        "command verifies card.json in it, and the file shows this card. Only for federatedmodel/NAME",
    )
    reporting.add_argument(
        "--hub-fingerprint",
        metavar="sha256:..",
        help="with --card: the fingerprint of the hub's key. Ask the hub's administrator for it. The command refuses a "
        "card that another hub signed",
    )
    reporting.set_defaults(run=run_report)


def run_report(cluster: Cluster, options: argparse.Namespace) -> int:
    return report.run_report(cluster, options, _signed(options))


def _signed(options: argparse.Namespace) -> SignedCard | None:
    """Raises CommandError unless the hub has signed the card."""
    path, fingerprint = options.card, options.hub_fingerprint
    if (path is None) != (fingerprint is None):
        raise CommandError(
            "--card needs --hub-fingerprint, and --hub-fingerprint needs --card. Give both of them, or none."
        )
    if path is None or fingerprint is None:
        return None
    if target(options.target)[0] != federatedmodel.KIND:
        raise CommandError("--card goes only with federatedmodel/NAME. Leave it out for other reports.")
    check_fingerprint(fingerprint)
    from wardround.card.folder import FolderRefused, load_card

    try:
        return SignedCard(load_card(path, fingerprint), fingerprint)
    except FolderRefused as refusal:
        raise CommandError(f"The command wrote no report: {refusal}.") from None
