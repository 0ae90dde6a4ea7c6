"""The same rounds as on the clusters, simulated in one process inside the trainer image, on the hospitals' own data.

The operator's code is mounted, and its packages are those of the operator image: the trainer image has none of both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lab import demo_data, demo_rounds, images, install
from tests.e2e.federation import Federation, say

Object = dict[str, Any]
ROOT = Path(__file__).parents[2]
MOUNTED = ("crds", "examples", "lab", "operator", "tests")
# torch needs the trainer image's own numpy, and the trainer reads data by its own Arrow.
COPY = """
import shutil, sysconfig
ignored = shutil.ignore_patterns("numpy*", "pyarrow*", "__pycache__")
shutil.copytree(sysconfig.get_path("purelib"), "/opt/out/packages", ignore=ignored)
"""
PLAY = """
import runpy, sys
sys.path[:0] = ["/opt/source", "/opt/source/operator"]
sys.path.append("/opt/out/packages")
sys.argv[1:] = ["/opt/given/rounds.json"]
runpy.run_module("tests.simulation", run_name="__main__")
"""


def digests(federation: Federation, rounds: Sequence[Object]) -> Mapping[str, str]:
    """Of each round's result, by name. The hospitals' order keys must be there: their first pod makes them."""
    given = {
        "image": federation.images.trainer.reference,
        "tables": demo_data.tables(),
        "orderKeys": {site: base64.b64encode(_order_key(site)).decode() for site in federation.sites},
        "rounds": [{**each, "metadata": {**each["metadata"], "namespace": demo_rounds.NAMESPACE}} for each in rounds],
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("out", "given"):
            (folder / each).mkdir()
        # The images' user is another one, and it writes into the first.
        for path, mode in ((folder, 0o755), (folder / "given", 0o755), (folder / "out", 0o777)):
            path.chmod(mode)
        (folder / "given" / "rounds.json").write_text(json.dumps(given), "utf-8")
        images.run_in(images.OPERATOR, ["python", "-c", COPY], [f"{folder / 'out'}:/opt/out"], say)
        volumes = [f"{ROOT / each}:/opt/source/{each}:ro" for each in MOUNTED]
        volumes += [f"{folder / each}:/opt/{each}:ro" for each in ("out", "given")]
        said = images.run_in(images.TRAINER, ["python", "-c", PLAY], volumes, say)
    found: dict[str, str] = json.loads(said.splitlines()[-1])
    return found


def _order_key(site: str) -> bytes:
    return demo_data.order_key_file(install.state_folder(site)).read_bytes()
