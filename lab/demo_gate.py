"""After the demo, a hospital flips its labels, and the gate keeps the next model away: `python -m lab.demo_gate`.

The hospital's own pods would refuse the file (ColumnsChanged). Its people accept the change, so that the gate decides.
The hospital's file and Dataset and the spec of the FederatedModel are afterwards as before.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from lab import demo_data, demo_ending, demo_model, demo_rounds, install
from lab.demo_rounds import MODEL, NAMESPACE
from lab.errors import LabError
from lab.install import WRITTEN
from lab.topology import named
from wardround.cli.cluster import Cluster as Api
from wardround.cli.commands import report
from wardround.cli.errors import CommandError

HOSPITAL = "site-b"

Progress = Callable[[str], None]


def main() -> int:
    try:
        show(lambda line: print(f"[{datetime.now(UTC):%H:%M:%S}] {line}", flush=True))
    except (LabError, CommandError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def show(progress: Progress) -> None:
    """Raises LabError if the gate lets the model pass."""
    hub = Api(str(named("hub").kubeconfig))
    demo_model.current_round(hub)
    with _flipped_labels(progress), demo_model.triggered(hub, progress) as number:
        trained = demo_model.follow(hub, progress, number)
    progress(demo_model.verdict(trained))
    if trained.promoted:
        raise LabError(f"The gate let version {trained.made.spec.version} pass, which learned flipped labels.")
    (WRITTEN / demo_ending.REPORT).write_text(report.html(hub, MODEL, NAMESPACE), encoding="utf-8")
    progress(f"The report has all versions: build/demo/{demo_ending.REPORT}")


@contextmanager
def _flipped_labels(progress: Progress) -> Iterator[None]:
    table, file = demo_data.tables()[HOSPITAL], install.data_folder(HOSPITAL) / "cases.csv"
    site = Api(str(named(HOSPITAL).kubeconfig))
    demo_data.write(demo_data.flipped(table), file)
    progress(f"{HOSPITAL}: its file now says benign for malignant, and malignant for benign")
    _accept_columns(site, 1)
    progress(f"{HOSPITAL}: its people accept the change, which its pods would refuse (spec.columnsVersion)")
    try:
        yield
    finally:
        demo_data.write(table, file)
        _accept_columns(site, None)
        progress(f"{HOSPITAL}: its file is as before")


def _accept_columns(site: Api, version: int | None) -> None:
    """With another version, the hospital's pods remember the columns of the Dataset anew."""
    name = str(demo_rounds.dataset()["metadata"]["name"])
    site.patch("Dataset", name, install.SITE_NAMESPACE, {"spec": {"columnsVersion": version}})


if __name__ == "__main__":
    sys.exit(main())
