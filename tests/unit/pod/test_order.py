"""The order of a hospital's rows: the same for equal work there, and for nobody else to compute."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod import order
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure
from wardround.wire.outcome import write
from wardround_trainer import task as trainer
from wardround_trainer.batches import batches


def seed(folders: Folders, **changes: Any) -> int:
    prepare(folders, world.task(**changes))
    found: int = json.loads(folders.task_file.read_text())["orderSeed"]
    return found


def hospital(root: Path, rows: list[str] | None = None) -> Folders:
    return world.pod(root, rows or world.rows(100))


def give(folders: Folders, key: bytes) -> Folders:
    (folders.secrets / "order").mkdir(parents=True)
    (folders.secrets / "order" / "key").write_bytes(key)
    return folders


def trains_in(folders: Folders) -> list[list[int]]:
    """The batches of the built-in trainer's first epoch, by the task.json that it finds."""
    work = trainer.read(trainer.Folders(folders.root))
    rows = json.loads(folders.task_file.read_text())["dataset"]["rows"]
    per_epoch = work.parameters.batches(rows)
    return [each.tolist() for each in batches(rows, per_epoch, work.order_seed, 0, per_epoch)]


def test_hospitals_with_the_same_rows_train_in_orders_that_the_hub_cannot_compute(tmp_path: Path) -> None:
    """All that the hub knows of them is equal, so no function of what it knows gives both."""
    orders = []
    for name in ("one", "another"):
        folders = hospital(tmp_path / name)
        prepare(folders, world.task())
        orders.append(trains_in(folders))
    assert len(orders[0]) > 1
    assert orders[0] != orders[1]


def test_equal_work_has_an_equal_order_whichever_round_and_attempt_asks_for_it(tmp_path: Path) -> None:
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
    folders = give(hospital(tmp_path / "one"), bytes(32))
    changed = [*world.rows(100)[:-1], "patient-99,11.5,40,0"]
    other = give(hospital(tmp_path / "another", changed), bytes(32))
    assert seed(folders) != seed(other)


def test_who_is_given_the_secret_gets_the_same_order(tmp_path: Path) -> None:
    """As tests and simulations are."""
    seeds = {seed(give(hospital(tmp_path / name), b"k" * 32)) for name in ("one", "another")}
    assert len(seeds) == 1


def test_the_order_depends_on_the_rows_and_not_on_how_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = hospital(tmp_path)
    whole = seed(folders)
    monkeypatch.setattr("wardround.pod.dataset.BLOCK_BYTES", 512)
    assert seed(folders) == whole


def test_the_secret_is_random_and_its_owners_alone_and_stays(tmp_path: Path) -> None:
    made = [order.key_of(tmp_path / name) for name in ("one", "another")]
    assert [len(key) for key in made] == [32, 32]
    assert made[0] != made[1]
    file = tmp_path / "one" / "order" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert order.key_of(tmp_path / "one") == made[0]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["order"]


def test_pods_that_make_the_secret_at_the_same_time_have_one(tmp_path: Path) -> None:
    start, found = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        found.append(order.key_of(tmp_path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["order"]


def test_who_comes_second_takes_the_secret_of_who_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had seen none, and makes one while the other puts its own in place."""
    give(Folders(tmp_path), b"f" * 32)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert order.key_of(tmp_path / "secrets") == b"f" * 32


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_what_is_no_secret_is_not_used(tmp_path: Path, content: bytes) -> None:
    give(Folders(tmp_path), content)
    with pytest.raises(Failure, match="delete secrets/order") as caught:
        order.key_of(tmp_path / "secrets")
    assert caught.value.reason == "PodFailed"


def test_a_volume_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("no folder")
    with pytest.raises(Failure, match="folder secrets cannot be used: FileExistsError") as caught:
        order.key_of(tmp_path / "secrets")
    assert caught.value.reason == "PodFailed"


def test_the_secret_is_in_nothing_that_another_container_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = give(hospital(tmp_path), b"\x07secret of thirty-two bytes here")
    prepared = prepare(folders, world.task())
    key = order.key_of(folders.secrets)
    written = [path for path in folders.root.rglob("*") if path.is_file() and folders.secrets not in path.parents]
    contents = [path.read_bytes() for path in written]
    told = "".join(capfd.readouterr()) + write(prepared.outcome).decode()
    for secret in (key, key.hex().encode(), key[1:]):
        assert not any(secret in content for content in (*contents, told.encode()))
    # Nor is the number among what leaves the pod: it is for training alone.
    number = str(json.loads(folders.task_file.read_text())["orderSeed"])
    assert number not in folders.report_file.read_text() + told
