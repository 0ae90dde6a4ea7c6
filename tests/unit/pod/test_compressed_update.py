"""`check` compresses the update of a round that asks for it, after it has checked the whole difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.players.compressed import compressed, expanded
from tests.unit.pod import world
from wardround import tensors
from wardround.compression import LARGEST
from wardround.pod.check import check
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.wire import digests
from wardround.wire.compression import Compression

FROZEN = ("input.*",)
# Several chunks of the file, and no whole number of blocks.
BASE = {**world.MODEL, "layer.weight": np.random.default_rng(1).normal(size=(700, 901)).astype(np.float32)}
CHANGE = np.random.default_rng(2).normal(size=(700, 901)).astype(np.float32) * np.float32(1e-3)
TRAINED = BASE | {"layer.weight": BASE["layer.weight"] + CHANGE}
BOUNDS = {"BFloat16": 2.0**-8, "Int8": 1 / 254}


def pod(folder: Path, compression: Compression, **changes: Any) -> Folders:
    folders = world.pod(folder)
    world.report(folders, world.task(exchange={"frozen": list(FROZEN)}) | {"compression": compression} | changes)
    tensors.write(folders.base / "model.safetensors", dict(BASE))
    tensors.write(folders.out / "model.safetensors", dict(TRAINED))
    world.probabilities(folders.out / "validation.f64", np.full(40, 0.5))
    return folders


@pytest.mark.parametrize("compression", BOUNDS)
def test_the_update_stands_for_the_difference_within_the_bound(tmp_path: Path, compression: Compression) -> None:
    folders = pod(tmp_path, compression)
    check(folders)
    file = folders.update / "update.safetensors"
    document, layout = world.update(folders), tensors.layout(folders.base / "model.safetensors")
    assert (document["length"], document["digest"]) == (file.stat().st_size, digests.file_digest(file))
    assert document["schemaDigest"] == layout.schema_digest
    plain = expanded(file.read_bytes(), layout, compression, FROZEN)
    _, start, stop = layout.find("layer.weight")
    difference = TRAINED["layer.weight"] - BASE["layer.weight"]
    error = np.abs(np.frombuffer(plain[start:stop], "<f4").reshape(700, 901) - difference).max()
    assert 0 < error <= BOUNDS[compression] * np.abs(difference).max()
    assert layout.length / document["length"] == pytest.approx({"BFloat16": 2, "Int8": 4}[compression], rel=0.01)


def test_an_initial_round_sends_its_weights_as_they_are(tmp_path: Path) -> None:
    check(pod(tmp_path, "None", baseDigest=""))
    weights = world.read(tmp_path / "update" / "update.safetensors")["layer.weight"]
    assert weights.tobytes() == TRAINED["layer.weight"].tobytes()


@pytest.mark.parametrize("compression", BOUNDS)
def test_a_frozen_tensor_that_changed_is_refused_before_it_is_compressed(
    tmp_path: Path, compression: Compression
) -> None:
    folders = pod(tmp_path, compression)
    changed = TRAINED | {"input.mean": np.nextafter(BASE["input.mean"], np.float32(99))}
    (folders.out / "model.safetensors").unlink()
    tensors.write(folders.out / "model.safetensors", changed)
    with pytest.raises(PodError) as failure:
        check(folders)
    assert failure.value.reason == "FrozenChanged"


def test_a_change_that_float32_cannot_hold_is_refused(tmp_path: Path) -> None:
    folders = pod(tmp_path, "Int8")
    for path, value in ((folders.base, 0.0), (folders.out, 2 * LARGEST)):
        (path / "model.safetensors").unlink()
        tensors.write(path / "model.safetensors", BASE | {"wide": np.full(3, value)})
    with pytest.raises(PodError) as failure:
        check(folders)
    assert failure.value.reason == "NotFinite"
    assert "tensor wide changed by more than the compression Int8 can hold" in str(failure.value)
    assert not (folders.update / "update.json").exists()


def claim(folders: Folders, wish: str) -> None:
    """Code writes its wish into each file that it can write, and into `task.json`, which it cannot."""
    folders.task_file.parent.mkdir(exist_ok=True)
    text = json.dumps({"compression": wish, "aggregation": {"compression": wish}, "exchange": {"compression": wish}})
    for path in (folders.task_file, *(folders.out / name for name in ("report.json", "update.json", "error.json"))):
        path.write_text(text)
    (folders.out / "metrics.json").write_text(json.dumps({"compression": wish, "steps": 1}))


def describe(folders: Folders, wish: str) -> None:
    """Code writes its wish into the metadata of its model."""
    model = folders.out / "model.safetensors"
    data = model.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length]) | {"__metadata__": {"compression": wish}}
    text = json.dumps(header).encode()
    model.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def pack(folders: Folders, wish: Compression) -> None:
    """Code sends the compressed file itself."""
    model = folders.out / "model.safetensors"
    model.write_bytes(compressed(model.read_bytes(), wish, FROZEN))


def halve(folders: Folders, wish: str) -> None:
    """Code trains a model of half precision."""
    model = folders.out / "model.safetensors"
    arrays = {name: each.astype(np.float16) if each.dtype == np.float32 else each for name, each in TRAINED.items()}
    model.unlink()
    tensors.write(model, arrays)


REFUSED = {pack: "OutputNotSafetensors", halve: "TensorsDiffer"}


@pytest.mark.parametrize("asked", ["None", *BOUNDS])
@pytest.mark.parametrize("wish", ["None", *BOUNDS])
@pytest.mark.parametrize("attack", [claim, describe, pack, halve])
def test_training_code_cannot_choose_the_compression(
    tmp_path: Path, asked: Compression, wish: Compression, attack: Callable[[Folders, Any], None]
) -> None:
    """The update is that of code which wishes nothing, to the last bit, or there is none."""
    honest, folders = pod(tmp_path / "honest", asked), pod(tmp_path / "hostile", asked)
    check(honest)
    attack(folders, wish)
    if attack in REFUSED and not (attack is pack and wish == "None"):
        with pytest.raises(PodError) as failure:
            check(folders)
        assert failure.value.reason == REFUSED[attack]
        assert not folders.update.exists() or not [*folders.update.glob("update.*")]
        return
    check(folders)
    for name in ("update.safetensors", "update.json"):
        assert (folders.update / name).read_bytes() == (honest.update / name).read_bytes()
