"""The same rounds as on the clusters, by `wardround simulate` inside the trainer image, on the hospitals' own data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lab import demo_data, install, trainer_python
from lab.trainer_python import GIVEN
from tests.e2e.federation import Federation, say

Object = dict[str, Any]


def digests(federation: Federation, rounds: Sequence[Object]) -> Mapping[str, str]:
    """The digest of each round's result, by name. The hospitals' keys must exist: their first pod makes them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        demo_data.write_folders(folder / "data")
        for site in federation.sites:
            for key in (demo_data.ORDER_KEY, demo_data.SPLIT_KEY):
                shutil.copyfile(install.state_folder(site) / key, folder / "data" / site / key)
        # YAML can have the form of JSON.
        (folder / "rounds.yaml").write_text("\n---\n".join(map(json.dumps, rounds)), "utf-8")
        folder.chmod(0o755)
        arguments = ["simulate", f"{GIVEN}/rounds.yaml", "--data", f"{GIVEN}/data", "--output", "json"]
        output = trainer_python.run("wardround", arguments, folder, (), say)
    return {each["round"]: each["digest"] for each in json.loads(output.splitlines()[-1])}
