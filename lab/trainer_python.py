"""Runs Python inside the trainer image, where torch is, with the code of this checkout. Needs no cluster.

The trainer image has neither the operator's code nor its packages: the code is mounted, and the packages are copied
from the operator image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import images
from lab.images import ROOT, Progress

# The folder that the caller gives.
GIVEN = "/opt/given"
# torch needs the trainer image's own numpy, and the trainer reads data by its own Arrow.
COPY = """
import shutil, sysconfig
ignored = shutil.ignore_patterns("numpy*", "pyarrow*", "__pycache__")
shutil.copytree(sysconfig.get_path("purelib"), "/opt/out/packages", ignore=ignored)
"""
RUN = """
import runpy, sys
sys.path[:0] = ["/opt/source", "/opt/source/operator"]
sys.path.append("/opt/out/packages")
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run(module: str, arguments: Sequence[str], given: Path, mounted: Sequence[str], progress: Progress) -> str:
    """Run a module, as `python -m` does, and return its output. `given`: a folder that everybody can read. `mounted`:
    folders of this checkout, beside `operator`. Raises LabError if the module fails."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        # The images' user is another one, and it writes the packages.
        folder.chmod(0o755)
        out.chmod(0o777)
        images.run_in(images.OPERATOR, ["python", "-c", COPY], [f"{out}:/opt/out"], progress)
        volumes = [f"{ROOT / each}:/opt/source/{each}:ro" for each in ("operator", *mounted)]
        volumes += [f"{out}:/opt/out:ro", f"{given}:{GIVEN}:ro"]
        return images.run_in(images.TRAINER, ["python", "-c", RUN, module, *arguments], volumes, progress)
