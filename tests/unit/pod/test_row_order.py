"""The seed of a hospital's row order: equal for equal work at one hospital, and secret outside it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod import row_order
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.wire.outcome import write
from wardround_trainer import task as trainer
from wardround_trainer.batches import batches


def seed(folders: Folders, **changes: Any) -> int:
    prepare(folders, world.task(**changes))
    order_seed: int = json.loads(folders.task_file.read_text())["orderSeed"]
    return order_seed


def hospital(root: Path, rows: list[str] | None = None) -> Folders:
    return world.pod(root, rows or world.rows(100))


def with_key(folders: Folders, key: bytes) -> Folders:
    (folders.secrets / "order").mkdir(parents=True)
    (folders.secrets / "order" / "key").write_bytes(key)
    return folders


def first_epoch(folders: Folders) -> list[list[int]]:
    """Row numbers of the batches in the built-in trainer's first epoch."""
    work = trainer.read(trainer.Folders(folders.root))
    rows = json.loads(folders.task_file.read_text())["dataset"]["rows"]
    per_epoch = work.parameters.batches(rows)
    return [each.tolist() for each in batches(rows, per_epoch, work.order_seed, 0, per_epoch)]


def test_hospitals_with_the_same_rows_train_in_orders_that_the_hub_cannot_compute(tmp_path: Path) -> None:
    """The hub knows the same facts about both hospitals, so no function of these facts gives both orders."""
    orders = []
    for name in ("one", "another"):
        folders = hospital(tmp_path / name)
        prepare(folders, world.task())
        orders.append(first_epoch(folders))
    assert len(orders[0]) > 1
    assert orders[0] != orders[1]


def test_equal_work_has_an_equal_order_in_every_round_and_attempt(tmp_path: Path) -> None:
    folders = hospital(tmp_path)
    first = seed(folders)
    again = seed(
        folders,
        participant="site-b",
        round={"name": "round-2", "attempt": 3},
        roundUID="5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21",
        stateRound="5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21",
    )
    assert first == again
    assert 0 <= first < 2**63


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"baseDigest": "sha256:" + "c" * 64},
        {"imageDigest": "sha256:" + "c" * 64},
        {"parameters": {"epochs": "2"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_work_has_another_order(tmp_path: Path, change: dict[str, Any]) -> None:
    folders = hospital(tmp_path)
    assert seed(folders) != seed(folders, **change)


def test_other_rows_have_another_order(tmp_path: Path) -> None:
    folders = with_key(hospital(tmp_path / "one"), bytes(32))
    changed = [*world.rows(100)[:-1], "patient-99,11.5,40,0"]
    other = with_key(hospital(tmp_path / "another", changed), bytes(32))
    assert seed(folders) != seed(other)


def test_equal_keys_give_equal_orders(tmp_path: Path) -> None:
    """Tests and simulations set the key."""
    seeds = {seed(with_key(hospital(tmp_path / name), b"k" * 32)) for name in ("one", "another")}
    assert len(seeds) == 1


def test_the_order_depends_on_the_rows_and_not_on_how_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = hospital(tmp_path)
    whole = seed(folders)
    monkeypatch.setattr("wardround.pod.dataset.BLOCK_BYTES", 512)
    assert seed(folders) == whole


def test_the_key_is_random_private_and_permanent(tmp_path: Path) -> None:
    made = [row_order.hospital_key(tmp_path / name, world.RANDOM_BYTES) for name in ("one", "another")]
    assert [len(key) for key in made] == [32, 32]
    assert made[0] != made[1]
    file = tmp_path / "one" / "order" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert row_order.hospital_key(tmp_path / "one", world.RANDOM_BYTES) == made[0]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["order"]


def test_given_random_bytes_decide_the_key(tmp_path: Path) -> None:
    """So a simulation with one seed makes one key."""
    assert row_order.hospital_key(tmp_path, lambda count: b"r" * count) == b"r" * 32


def test_pods_that_make_a_key_at_the_same_time_share_one(tmp_path: Path) -> None:
    keys = world.at_once(8, lambda _: row_order.hospital_key(tmp_path, world.RANDOM_BYTES))
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["order"]


def test_a_pod_that_loses_the_race_uses_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod sees no key and makes one, but another pod's key is in place first."""
    with_key(Folders(tmp_path), b"f" * 32)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert row_order.hospital_key(tmp_path / "secrets", world.RANDOM_BYTES) == b"f" * 32


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_key_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    with_key(Folders(tmp_path), content)
    with pytest.raises(PodError, match="delete secrets/order") as caught:
        row_order.hospital_key(tmp_path / "secrets", world.RANDOM_BYTES)
    assert caught.value.reason == "PodFailed"


def test_an_unwritable_volume_fails_the_pod(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("no folder")
    with pytest.raises(PodError, match="folder secrets on the claim `state` cannot be used") as caught:
        row_order.hospital_key(tmp_path / "secrets", world.RANDOM_BYTES)
    assert caught.value.reason == "PodFailed"


def test_the_key_is_in_no_file_that_another_container_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = with_key(hospital(tmp_path), b"\x07secret of thirty-two bytes here")
    prepared = prepare(folders, world.task())
    key = row_order.hospital_key(folders.secrets, world.RANDOM_BYTES)
    written = [path for path in folders.root.rglob("*") if path.is_file() and folders.secrets not in path.parents]
    contents = [path.read_bytes() for path in written]
    output = "".join(capfd.readouterr()) + write(prepared).decode()
    for secret in (key, key.hex().encode(), key[1:]):
        assert not any(secret in content for content in (*contents, output.encode()))
    # The seed is only for training: it does not leave the pod either.
    number = str(json.loads(folders.task_file.read_text())["orderSeed"])
    assert number not in folders.report_file.read_text() + output
