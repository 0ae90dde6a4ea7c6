"""A hospital of the demo flips its labels, and the gate keeps the next model away.

The hospital's own pods would refuse the file (ColumnsChanged). Its people accept the change, so that the gate decides.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import demo_data, demo_model, demo_rounds, install
from lab.demo_model import Trained
from lab.errors import LabError
from lab.topology import named
from wardround.cli.cluster import Cluster as Api

HOSPITAL = "site-b"

Progress = Callable[[str], None]


def show(hub: Api, progress: Progress) -> Trained:
    """The next series of the model, with flipped labels. The hospital's file and Dataset are afterwards as before.
    Raises LabError if the gate lets the model pass."""
    with _flipped_labels(progress):
        trained = demo_model.follow(hub, progress, demo_model.begin(hub))
    progress(demo_model.verdict(trained))
    if trained.promoted:
        raise LabError(f"The gate let version {trained.made.spec.version} pass, which learned flipped labels.")
    return trained


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
