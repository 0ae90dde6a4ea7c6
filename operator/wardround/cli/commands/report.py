"""The verb report: writes the report of a model, or a hospital's own report, into one HTML file."""

import argparse
import os
import stat
from dataclasses import replace
from pathlib import Path

from wardround.api import dataset, federatedmodel, site, sitetask
from wardround.cli import verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.cli.hospital_report import build as hospital_build
from wardround.cli.hospital_report import seen as hospital_seen
from wardround.cli.report import build, page, seen
from wardround.clock import system_clock
from wardround.wire.model_folder import pull_command


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser, so that `extras` can add options."""
    reporting = parsers.add_parser(
        "report",
        parents=[shared],
        help="write the report of a model, or a hospital's own report, into one HTML file that needs no network",
        description="Writes one HTML file about a FederatedModel. The file shows how the model improved, its versions "
        "with 95 % intervals, calibration and the card. The file says which hospitals took part, which ones rounds "
        "left out and why, and what the hub knows about the quality of their data. The file also shows how long each "
        "stage took. The file has no script, loads nothing from a network, and shows no number of a single hospital. "
        "At a hospital, `report sitetask/NAME` writes the hospital's own report on the model of this task, and "
        "`report site/site` on all models. That file holds the hospital's own numbers, its verdicts and the quality "
        "of its data. The file stays in the hospital.",
    )
    reporting.add_argument(
        "target", metavar="KIND/NAME", help="federatedmodel/NAME on the hub; sitetask/NAME or site/site at a hospital"
    )
    reporting.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.html",
        help="the file to write. The command replaces an existing file",
    )
    return reporting


def run_report(cluster: Cluster, options: argparse.Namespace, signed: seen.SignedCard | None = None) -> int:
    """`signed`: the card of a version of the model, if the person has it."""
    kind, name = target(options.target)
    own = kind in (sitetask.KIND, site.KIND)
    if not own and kind != federatedmodel.KIND:
        raise CommandError(
            "`report` takes federatedmodel/NAME on the hub, and sitetask/NAME or site/site at a hospital."
        )
    namespace = options.namespace or cluster.default_namespace
    with hint_of_namespace(cluster, options, kind, name):
        written = hospital_html(cluster, kind, name, namespace) if own else html(cluster, name, namespace, signed)
    try:
        _write(options.output, written, private=own)
    except OSError as error:
        raise CommandError(
            f"The command cannot write {options.output}: {error.strerror}. Name another file."
        ) from error
    if own:
        print(
            f"Wrote {options.output}, this hospital's own report. Open it in a browser. Keep it in the hospital, "
            "because it has numbers of this hospital alone."
        )
    else:
        print(f"Wrote {options.output}, the report of model {namespace}/{name}. Open it in a browser.")
    return 0


def html(hub: Cluster, name: str, namespace: str, signed: seen.SignedCard | None = None) -> str:
    """The report of a FederatedModel. What the caller may not read is missing in it, and the report says so. Raises
    CommandError if the signed card is of another model."""
    model, versions, rounds = verbs.model_with_rounds(hub, name, namespace)
    schema = verbs.data_schema(hub, model["spec"]["schemaName"], namespace)
    every = verbs.rounds_of_namespace(hub, namespace)
    fetched = (model, versions, rounds), every, verbs.tasks_of(hub, rounds), verbs.participants(hub), schema
    known = seen.parse(*fetched, system_clock())
    if signed is not None and seen.version_of_card(signed.card, known.model) is None:
        made_by = f"{signed.card.round_namespace}/{signed.card.round_name}"
        raise CommandError(
            f"Wrote no report, because the file after --card is of another model: round {made_by} made it, and no "
            f"version of federatedmodel/{name} in {namespace}. Pull the model again: "
            f"{pull_command(f'federatedmodel/{name}', namespace)}"
        )
    return page.page(build.document(replace(known, signed=signed)))


def hospital_html(cluster: Cluster, kind: str, name: str, namespace: str) -> str:
    """The report of a hospital, about the model of a SiteTask or about all that the site holds. Raises CommandError."""
    named = verbs.needed(cluster, kind, name, namespace)
    seen = hospital_seen.parse(
        namespace,
        named if kind == site.KIND else verbs.site_of(cluster, namespace),
        cluster.list(sitetask.KIND, namespace),
        cluster.list(dataset.KIND, namespace),
        system_clock(),
    )
    if kind == sitetask.KIND:
        seen = hospital_seen.about(seen, name)
        if not seen.groups:
            raise CommandError(
                f"The assignment of SiteTask {name} cannot be read, so there is no report on its model. To see why: "
                f"kubectl wardround explain sitetask/{name} -n {namespace}. For a report on all other tasks: kubectl "
                f"wardround report site/site -n {namespace}."
            )
    return page.page(hospital_build.document(seen))


def _write(path: Path, text: str, *, private: bool) -> None:
    """`private`: nobody but the caller reads the file, also one that existed. Raises OSError."""
    with open(path, "w", encoding="utf-8", opener=_private if private else None) as file:
        file.write(text)


def _private(path: str, flags: int) -> int:
    file = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(file).st_mode):
        os.fchmod(file, 0o600)
    return file
