"""The verb check-enrolment: a hospital checks the two files from the hub before it applies them."""

import argparse
from pathlib import Path

from wardround.cli import enrolment_files
from wardround.cli.arguments import Parsers
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError


def add(parsers: Parsers, _: argparse.ArgumentParser) -> None:
    checking = parsers.add_parser(
        "check-enrolment",
        help="at a hospital: check the files from the hub's administrator before you apply them",
        description="Reads the two files that the hub's administrator has sent, on this computer and without a "
        "cluster. The command fails if a file holds anything that `kubectl wardround enrol` does not write: another "
        "value of the site chart, such as `policy`, or another object, such as a ClusterRoleBinding. If the files hold "
        "nothing else, the command prints the addresses, the CAs and the hub's fingerprint. You compare them by "
        "telephone. The command never prints the token.",
    )
    checking.add_argument(
        "values", type=Path, metavar="from-hub.yaml", help="the file with the values `hub` and `store`"
    )
    checking.add_argument(
        "credentials",
        type=Path,
        nargs="?",
        metavar="credentials.yaml",
        help="the file with the site's Secret. Leave it out if the hub's administrator has sent you only new values",
    )
    checking.set_defaults(run=run_check_enrolment, kubeconfig=None, context=None)


def run_check_enrolment(_: Cluster, options: argparse.Namespace) -> int:
    credentials = options.credentials and read(options.credentials)
    print("\n".join(enrolment_files.report(read(options.values), credentials)))
    return 0


def read(path: Path) -> enrolment_files.File:
    """A file, with the line ends of this computer's kind: some mail programs change them. Raises CommandError."""
    try:
        return enrolment_files.File(str(path), path.read_bytes().decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} cannot be read: it is not UTF-8 text. In Windows PowerShell, `>` writes another encoding: let "
            "the hub's administrator write the files anew on another system."
        ) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
