"""The verb dataset: checks or reads the file of a Dataset."""

import argparse
import time
from pathlib import Path

from wardround.api.site import LEAST_CELL, Policy
from wardround.api.times import to_microseconds
from wardround.cli import readings
from wardround.cli.arguments import Parsers, add_timeout, patients, share_of_rows
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError, MissingError
from wardround.clock import system_clock
from wardround.extras import dataset_check

POLL_SECONDS = 1.0


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    about_datasets = parsers.add_parser(
        "dataset", help="check a hospital's Dataset and its file before a round needs it"
    )
    dataset_verbs = about_datasets.add_subparsers(required=True, metavar="VERB")
    checking = dataset_verbs.add_parser(
        "check",
        help="read a Dataset and its file on this computer, without a cluster",
        description="Reads a Dataset and its data file on this computer, with the code of the training pod, and "
        "reports what a training pod would report. The command contacts no cluster and changes nothing. "
        "Exit code 0: the Dataset would be Ready. Exit code 1: the Dataset would not be Ready.",
    )
    checking.add_argument("manifest", type=Path, metavar="FILE.yaml", help="the YAML file with the Dataset")
    checking.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="the data file of the Dataset, in the format of spec.format (CSV or Parquet)",
    )
    checking.add_argument(
        "--schema",
        type=Path,
        metavar="FILE.yaml",
        help="the YAML file with the Dataset's DataSchema. Without this option, the command takes the DataSchema from "
        "the YAML file that contains the Dataset",
    )
    checking.add_argument(
        "--max-left-out",
        type=share_of_rows,
        default=Policy().max_left_out,
        metavar="SHARE",
        help="the value of policy.maxLeftOut of the Site, from 0 to 1; default: %(default)s",
    )
    checking.add_argument(
        "--min-cell",
        type=patients,
        default=LEAST_CELL,
        metavar="PATIENTS",
        help="the value of policy.minCell of the Site; default: %(default)s",
    )
    checking.set_defaults(run=run_dataset_check, kubeconfig=None, context=None)
    reading = dataset_verbs.add_parser(
        "read",
        parents=[shared],
        help="let the site read a Dataset's file now, without a round",
        description="Asks the site operator to read a Dataset's file in a pod with Wardround's own code, waits for "
        "the pod, and shows the outcome. Exit code 0: the Dataset is Ready. Exit code 1: the Dataset is not Ready.",
    )
    reading.add_argument("name", metavar="NAME", help="the name of the Dataset")
    add_timeout(reading, 600.0, "the pod")
    reading.set_defaults(run=run_dataset_read)


def run_dataset_read(site: Cluster, options: argparse.Namespace) -> int:
    namespace = options.namespace or site.default_namespace
    request = to_microseconds(system_clock())
    readings.ask(site, options.name, namespace, request)
    until = time.monotonic() + options.timeout
    while True:
        item = site.get("Dataset", options.name, namespace)
        if item is None:
            raise MissingError(f"Dataset {options.name} was deleted.")
        if answer := readings.answer(item, request):
            print("\n".join(answer.lines))
            return 0 if answer.ready else 1
        if time.monotonic() > until:
            raise CommandError(readings.waiting(item, options.timeout))
        time.sleep(POLL_SECONDS)


def run_dataset_check(_: Cluster, options: argparse.Namespace) -> int:
    limits = dataset_check.Limits(options.max_left_out, options.min_cell)
    checked = dataset_check.check(options.manifest, options.file, limits, options.schema)
    print("\n".join(checked.lines))
    return 0 if checked.ready else 1
