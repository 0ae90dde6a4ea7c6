"""The verb dataschema: compares a DataSchema with another one."""

import argparse
from pathlib import Path

from wardround.cli import dataschemas, verbs
from wardround.cli.arguments import Parsers, hospital
from wardround.cli.cluster import Cluster


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    about_schemas = parsers.add_parser("dataschema", help="compare a DataSchema with that of the hub or of a hospital")
    schema_verbs = about_schemas.add_subparsers(required=True, metavar="VERB")
    digesting = schema_verbs.add_parser(
        "digests",
        parents=[shared],
        help="show the digests of a DataSchema, or in which fields two of them differ",
        description="Shows the digests of a DataSchema and of each of its fields. A round and all its hospitals need "
        "equal digests. With a second DataSchema, shows what differs. The digests do not depend on descriptions. Exit "
        "code 0: the DataSchemas are equal. Exit code 1: they differ.",
    )
    digesting.add_argument("schema", metavar="NAME|FILE.yaml", help="a DataSchema of the namespace, or a file with one")
    other = digesting.add_mutually_exclusive_group()
    other.add_argument(
        "other",
        nargs="?",
        metavar="NAME|FILE.yaml",
        help="a second DataSchema, with which the command compares the first one",
    )
    other.add_argument(
        "--hospital",
        metavar="NAME",
        help="on the hub: compare the DataSchema with the digests that this hospital publishes",
    )
    digesting.set_defaults(run=run_dataschema_digests)


def run_dataschema_digests(cluster: Cluster, options: argparse.Namespace) -> int:
    one = described_schema(cluster, options.schema, options.namespace)
    if options.hospital:
        answer = dataschemas.published(one, verbs.participant(cluster, hospital(options.hospital)))
    elif options.other:
        answer = dataschemas.compared(one, described_schema(cluster, options.other, options.namespace))
    else:
        answer = dataschemas.digests(one)
    print("\n".join(answer.lines))
    return 0 if answer.equal else 1


def described_schema(cluster: Cluster, target: str, namespace: str | None) -> dataschemas.Described:
    """The DataSchema of a file or of the cluster. Raises CommandError."""
    if dataschemas.is_file(target):
        return dataschemas.from_file(Path(target))
    namespace = namespace or cluster.default_namespace
    item = verbs.needed(cluster, "DataSchema", target, namespace)
    return dataschemas.described(f"{namespace}/{target}", item.get("spec"))
