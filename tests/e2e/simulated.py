"""The models of the clusters once more, inside the trainer image, on the hospitals' own data and keys.

By `wardround simulate`, and by all of Wardround in one process (tests/simulation).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lab import demo_data, demo_rounds, install, trainer_python
from lab.trainer_python import GIVEN
from tests.e2e.federation import Federation, say
from tests.simulation.federation import FOLDERS

Object = dict[str, Any]


def digests(federation: Federation, rounds: Sequence[Object]) -> Mapping[str, str]:
    """By `wardround simulate`: the digest of each round's result, by name."""
    with _given(federation) as folder:
        # YAML can have the form of JSON.
        (folder / "rounds.yaml").write_text("\n---\n".join(map(json.dumps, rounds)), "utf-8")
        arguments = ["simulate", f"{GIVEN}/rounds.yaml", "--data", f"{GIVEN}/data", "--output", "json"]
        output = trainer_python.run("wardround", arguments, folder, (), say)
    return {each["round"]: each["digest"] for each in json.loads(output.splitlines()[-1])}


def digests_of_series(federation: Federation, model: Object) -> Sequence[str]:
    """By all of Wardround: the digest of each round's result of the series of this FederatedModel, in order."""
    metadata = {"name": model["metadata"]["name"], "namespace": demo_rounds.NAMESPACE}
    with _given(federation) as folder:
        (folder / "model.json").write_text(json.dumps({**model, "metadata": metadata}), "utf-8")
        arguments = [federation.images.trainer.reference]
        output = trainer_python.run("tests.e2e.federation_inside", arguments, folder, FOLDERS, say)
    series: list[str] = json.loads(output.splitlines()[-1])
    return series


@contextmanager
def _given(federation: Federation) -> Iterator[Path]:
    """A folder with the hospitals' data and keys. The keys must exist: a hospital's first pod makes them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        demo_data.write_folders(folder / "data")
        for site in federation.sites:
            for key in (demo_data.ORDER_KEY, demo_data.SPLIT_KEY):
                shutil.copyfile(install.state_folder(site) / key, folder / "data" / site / key)
        folder.chmod(0o755)
        yield folder
