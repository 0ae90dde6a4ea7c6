"""The built images: their configuration, their imports, and the trainer's tests inside its image."""

from __future__ import annotations

import importlib.util
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import images, trainer_python
from lab.images import Images
from lab.images_oci import ImageRef
from tests.unit.card.models import HIDDEN, weights, write_folder
from tests.unit.card.scored import scored
from tests.unit.card.test_predict import HEADER, cases, written

ROOT = Path(__file__).parents[2]
# pytest is pure Python. The image has none, so this environment's is mounted.
BORROWED = ("_pytest", "iniconfig", "packaging", "pluggy", "py", "pygments", "pytest")


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@pytest.fixture(scope="module")
def built() -> Images:
    return images.build_all(progress)


def configuration(image: ImageRef) -> dict[str, Any]:
    with tarfile.open(image.archive) as tar:

        def blob(digest: str) -> Any:
            content = tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert content is not None
            return json.load(content)

        return dict(blob(blob(image.reference.split("@")[1])["config"]["digest"])["config"])


def test_an_image_has_its_manifests_digest_and_the_unprivileged_user(built: Images) -> None:
    for image in (built.operator, built.trainer, built.store):
        assert configuration(image)["User"] == "65532:65532"


def test_entrypoints_are_the_contracts(built: Images) -> None:
    assert configuration(built.operator)["Entrypoint"] == ["python", "-m", "wardround"]
    assert configuration(built.trainer)["Entrypoint"] == ["python", "-m", "wardround_trainer"]


def test_a_second_build_builds_nothing(built: Images) -> None:
    lines: list[str] = []
    assert images.build_all(lines.append) == built
    assert lines == []


def test_the_operator_image_can_import_all_verbs() -> None:
    script = """
import importlib, pathlib, pyarrow.parquet, pyarrow.csv, ssl, wardround
root = pathlib.Path(wardround.__file__).parent
for path in sorted(root.rglob("*.py")):
    name = ".".join(("wardround", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
    command_line = name.startswith(("wardround.cli", "wardround.extras", "wardround.kubectl"))
    if not command_line and not name.endswith("__main__"):
        importlib.import_module(name)
assert all(list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc")) for path in root.rglob("*.py"))
assert ssl.create_default_context().get_ca_certs()
print("all imported")
"""
    assert "all imported" in images.run_in(images.OPERATOR, ["python", "-c", script], (), progress)


def test_a_process_of_the_operator_image_compiles_nothing() -> None:
    """The root file system is read-only, so each process would compile the same modules again: those of Python, where
    the base image has no bytecode, and 13 modules of attrs, whose bytecode had another timestamp than their sources."""
    script = """
import subprocess, sys
program = [sys.executable, "-v", "-c", "import wardround.__main__, wardround.aggregate.main, wardround.hub.operator"]
lines = subprocess.run(program, check=True, capture_output=True, text=True).stderr.splitlines()
print("loaded", sum(".pyc'" in line for line in lines if line.startswith("# code object from '/")))
print("compiled", [line for line in lines if line.startswith("# code object from /") and line.endswith(".py")])
"""
    loaded, compiled = images.run_in(images.OPERATOR, ["python", "-c", script], (), progress).splitlines()
    assert int(loaded.removeprefix("loaded ")) > 500
    assert compiled == "compiled []"


def test_the_trainer_passes_its_tests_inside_its_image() -> None:
    borrowed = []
    for name in BORROWED:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        file = Path(str(spec.origin))
        source = file.parent if file.name == "__init__.py" else file
        borrowed.append(f"{source}:/opt/tests/{source.name}:ro")
    volumes = [*borrowed, f"{ROOT / 'tests' / 'unit' / 'trainer'}:/opt/trainer:ro"]
    arguments = ["-q", "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib", "/opt/trainer"]
    script = f"import sys; sys.path.insert(0, '/opt/tests'); import pytest; sys.exit(pytest.main({arguments}))"
    output = images.run_in(images.TRAINER, ["python", "-c", script], volumes, progress)
    print(output)
    assert " passed" in output
    assert "skipped" not in output


def test_a_model_loaded_with_torch_predicts_as_an_evaluation_to_a_millionth(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "given" / "model")
    pod = scored(made, written(tmp_path / "cases.csv", HEADER, *cases(300)), tmp_path / "pod", 300)
    np.save(tmp_path / "given" / "rows.npy", pod.rows)
    arguments = [made.identity.fingerprint]
    mounted = ("tests/e2e", "lab")
    output = trainer_python.run("tests.e2e.loaded_inside", arguments, tmp_path / "given", mounted, progress)
    answers = json.loads(output.splitlines()[-1])
    assert np.abs(np.array(answers["probabilities"]) - pod.probabilities).max() < 1e-6
    assert answers["features"] == ["age", "radius"]
    assert answers["tensors"] == sorted(weights(HIDDEN))
    assert "is signed by a hub" in answers["refusal"]
