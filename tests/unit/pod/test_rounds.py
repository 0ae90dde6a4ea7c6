"""`prepare` removes folders of rounds that are over. Their contents cannot prevent that, or lead it elsewhere."""

from __future__ import annotations

import codecs
import json
import os
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.unit.pod import world
from wardround.pod import dataset, prepare, rounds
from wardround.pod.folders import Folders

# Imported early because `prepare` imports them late, and here the pod's user may not read the libraries.
assert dataset
assert parquet
codecs.lookup("ascii")  # needed to read /proc/net

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


def round_folder(folder: Path, age: timedelta = timedelta()) -> Path:
    made = folder / str(uuid.uuid4())
    made.mkdir(parents=True)
    (made / "checkpoint.pt").write_bytes(b"weights")
    then = (NOW - age).timestamp()
    os.utime(made, (then, then))
    return made


def test_folders_of_rounds_that_are_over_are_removed_and_live_ones_stay(tmp_path: Path) -> None:
    over, live = round_folder(tmp_path), round_folder(tmp_path)
    assert rounds.remove_ended(tmp_path, [live.name], LATER, world.RANDOM_BYTES).removed == (over.name,)
    assert [path.name for path in tmp_path.iterdir()] == [live.name]
    assert (live / "checkpoint.pt").read_bytes() == b"weights"


def test_a_round_that_began_after_the_list_was_made_keeps_its_checkpoint(tmp_path: Path) -> None:
    begun, old = round_folder(tmp_path), round_folder(tmp_path, timedelta(hours=2))
    assert rounds.remove_ended(tmp_path, [], NOW - timedelta(hours=1), world.RANDOM_BYTES).removed == (old.name,)
    assert begun.is_dir()


def test_only_folders_named_by_a_uid_are_removed(tmp_path: Path) -> None:
    for name in ("lost+found", "notes", str(uuid.uuid4()) + "~", str(uuid.uuid4()).upper()):
        (tmp_path / name).mkdir()
    (tmp_path / str(uuid.uuid4())).write_text("a file")
    before = sorted(tmp_path.iterdir())
    assert rounds.remove_ended(tmp_path, [], LATER, world.RANDOM_BYTES) == rounds.Removal()
    assert sorted(tmp_path.iterdir()) == before


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    folder = tmp_path / "checkpoints"
    over = round_folder(folder)
    (over / "link").symlink_to(elsewhere)
    (over / "deeper").mkdir()
    (over / "deeper" / "link").symlink_to(elsewhere)
    (folder / str(uuid.uuid4())).symlink_to(elsewhere)
    assert rounds.remove_ended(folder, [], LATER, world.RANDOM_BYTES).removed == (over.name,)
    assert (elsewhere / "kept").read_text() == "kept"


def test_deeply_nested_folders_are_removed(tmp_path: Path) -> None:
    over = round_folder(tmp_path)
    here = os.open(over, os.O_RDONLY)
    for _ in range(3000):  # deeper than a path may be long and than Python recurses
        os.mkdir("x" * 100, dir_fd=here)
        deeper = os.open("x" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    then = NOW.timestamp()
    os.utime(over, (then, then))
    assert rounds.remove_ended(tmp_path, [], LATER, world.RANDOM_BYTES).removed == (over.name,)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["files", "folders", "nested"])
def test_memory_does_not_grow_with_what_training_code_has_written(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "MOST_WAITING", 100)
    over = round_folder(tmp_path)
    inner = over / "inner" / "more" if kind == "nested" else over
    for number in range(6_000):
        path = inner / str(number)
        if kind == "files":
            path.touch()
        else:
            path.mkdir(parents=True)
    os.utime(over, (0, 0))
    tracemalloc.start()
    try:
        assert rounds.remove_ended(tmp_path, [], LATER, world.RANDOM_BYTES, newest=1).left == ()
        os.utime(over, (0, 0))
        assert rounds.remove_ended(tmp_path, [], LATER, world.RANDOM_BYTES).removed == (over.name,)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert list(tmp_path.iterdir()) == []
    # A list of the paths takes 2.7 MB and more. CPython resizes its table of strings, which takes up to 1 MB.
    assert peak < 2 << 20


@contextmanager
def as_the_pods_user(folder: Path) -> Iterator[None]:
    """Runs as the pod's user in `folder`, whose parents only root may open."""
    before = Path.cwd()
    os.chdir(folder)
    os.seteuid(65532)
    try:
        yield
    finally:
        os.seteuid(0)
        os.chdir(before)


as_root = pytest.mark.skipif(os.getuid() != 0, reason="gives files to the pod's user")


@as_root
def test_folders_closed_by_their_owner_are_removed(tmp_path: Path) -> None:
    over = round_folder(tmp_path)
    inner = over / "closed" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65532, 65532)
    for path in (inner, inner.parent, over):
        path.chmod(0)
    os.utime(over, (0, 0))
    with as_the_pods_user(tmp_path):
        assert rounds.remove_ended(Path(), [], LATER, world.RANDOM_BYTES).removed == (over.name,)
    assert list(tmp_path.iterdir()) == []


def folders_of_an_image(folder: Path) -> Path:
    """Makes a/b/c in `folder`, owned by root, as the container runtime does for an image's VOLUME a/b/c."""
    for path in (folder.parent.parent, folder.parent, folder, *folder.iterdir()):
        os.chown(path, 65532, 65532)
    (folder / "a" / "b" / "c").mkdir(parents=True)
    os.utime(folder, (0, 0))
    return folder


@as_root
def test_folders_of_an_image_do_not_keep_other_rounds_folders(tmp_path: Path) -> None:
    states = tmp_path / "states"
    stuck = [folders_of_an_image(round_folder(states)) for _ in range(3)]
    others = [round_folder(states, timedelta(days=age)) for age in (1, 2, 3)]
    # The pod's user owns the innermost folder, so its content is removed.
    inner = stuck[0] / "a" / "b" / "c"
    (inner / "deeper").mkdir()
    (inner / "deeper" / "file").write_text("x")
    for path in (inner, *inner.rglob("*"), *others, *(each / "checkpoint.pt" for each in others)):
        os.chown(path, 65532, 65532)
    with as_the_pods_user(tmp_path):
        removal = rounds.remove_ended(Path("states"), [], LATER, world.RANDOM_BYTES)
        assert set(removal.removed) == {each.name for each in others}
        assert set(removal.left) == {each.name for each in stuck}
    assert not [path for path in states.rglob("*") if path.is_file()]


@as_root
def test_code_leaves_nothing_in_folders_of_an_image(tmp_path: Path) -> None:
    """Nobody could delete it."""
    stuck = folders_of_an_image(round_folder(tmp_path / "states"))
    with as_the_pods_user(tmp_path):
        for folder in (stuck / "a", stuck / "a" / "b", stuck / "a" / "b" / "c"):
            for leave in (
                lambda path: path.write_text("a row"),
                Path.mkdir,
                lambda path: path.hardlink_to(path.parent),
            ):
                with pytest.raises(PermissionError):
                    leave(folder / "left")


@as_root
def test_folders_of_an_image_do_not_count_as_a_newest_state(tmp_path: Path) -> None:
    states = tmp_path / "states"
    stuck, state = folders_of_an_image(round_folder(states)), round_folder(states, timedelta(days=3))
    for path in (state, state / "checkpoint.pt"):
        os.chown(path, 65532, 65532)
    with as_the_pods_user(tmp_path):
        assert rounds.remove_ended(Path("states"), [], LATER, world.RANDOM_BYTES, newest=1).left == (
            stuck.name,
        )  # removed in part, so its time is now
        day_after = LATER + timedelta(days=1)
        assert rounds.remove_ended(Path("states"), [], day_after, world.RANDOM_BYTES, newest=1).removed == ()
    assert (state / "checkpoint.pt").is_file()


@as_root
def test_an_attempt_runs_although_an_image_left_folders_in_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = world.pod(tmp_path)
    own = folders_of_an_image(left(folders, world.ROUND_UID))
    for path in (tmp_path, folders.secrets, *folders.secrets.rglob("*")):
        os.chown(path, 65532, 65532)
    with as_the_pods_user(tmp_path):
        assert prepared(Path(), monkeypatch) == 0
    assert [path.name for path in own.rglob("*")] == ["a", "b", "c"]


@as_root
def test_an_unremovable_folder_does_not_fail_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = world.pod(tmp_path)
    round_folder(folders.checkpoints, timedelta(days=3650)).chmod(0o700)
    for path in (tmp_path, folders.checkpoints, folders.secrets, *folders.secrets.rglob("*")):
        os.chown(path, 65532, 65532)
    with as_the_pods_user(tmp_path):
        assert prepared(Path(), monkeypatch) == 0
    assert "prepare could not remove the checkpoints of 1 ended rounds" in capsys.readouterr().err
    assert folders.task_file.is_file()


def prepared(root: Path, monkeypatch: pytest.MonkeyPatch, **task: Any) -> int:
    """Runs `prepare` as the pod does. Returns its exit code."""
    target = {"name": "hub", "host": "127.0.0.1", "port": 1, "protocol": "TCP"}
    monkeypatch.setenv("WARDROUND_ROOT", str(root))
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(root / "termination"))
    monkeypatch.setenv("WARDROUND_ISOLATION", json.dumps([target]))
    for name, value in world.environment(world.task(**task)).items():
        monkeypatch.setenv(name, value)
    return prepare.main([])


# States


def test_the_newest_states_stay_and_empty_states_do_not_count(tmp_path: Path) -> None:
    states = [round_folder(tmp_path, timedelta(hours=hours)) for hours in (1, 2, 3, 4)]
    nothing = round_folder(tmp_path, timedelta(minutes=30))
    (nothing / "checkpoint.pt").unlink()
    os.utime(nothing, (0, 0))
    gone = rounds.remove_ended(tmp_path, [states[3].name], LATER, world.RANDOM_BYTES, newest=2).removed
    assert set(gone) == {nothing.name, states[2].name}
    assert {path.name for path in tmp_path.iterdir()} == {each.name for each in (states[0], states[1], states[3])}


def test_a_used_state_is_among_the_newest(tmp_path: Path) -> None:
    used, other = round_folder(tmp_path, timedelta(days=2)), round_folder(tmp_path, timedelta(days=1))
    rounds.touch(tmp_path, used.name)
    rounds.touch(tmp_path, str(uuid.uuid4()))
    assert rounds.remove_ended(tmp_path, [], LATER, world.RANDOM_BYTES, newest=1).removed == (other.name,)


@pytest.mark.parametrize("act", [partial(rounds.remove, random_bytes=world.RANDOM_BYTES), rounds.touch])
@pytest.mark.parametrize("uid", ["", "..", ".", "checkpoints", "../checkpoints"])
def test_a_name_that_is_not_a_uid_is_refused(tmp_path: Path, act: Callable[[Path, str], None], uid: str) -> None:
    kept = tmp_path / "checkpoints" / "kept"
    kept.mkdir(parents=True)
    (tmp_path / "states").mkdir()
    with pytest.raises(ValueError, match="not a UID"):
        act(tmp_path / "states", uid)
    assert kept.is_dir()


def test_a_link_in_place_of_a_state_is_not_followed(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "states" / world.ROUND_UID
    (elsewhere / "kept").mkdir(parents=True)
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    rounds.remove(tmp_path / "states", world.ROUND_UID, world.RANDOM_BYTES)
    assert (elsewhere / "kept").is_dir()


@pytest.fixture
def site(tmp_path: Path) -> Folders:
    return world.pod(tmp_path)


def left(folders: Folders, uid: str, age: timedelta = timedelta()) -> Path:
    """A state that the training of a round left."""
    made = folders.states / uid
    made.mkdir(parents=True)
    (made / "optimizer.safetensors").write_bytes(b"moments")
    then = (NOW - age).timestamp()
    os.utime(made, (then, then))
    return made


def live(*uids: str, states: Sequence[str] = (), at: datetime = LATER) -> dict[str, Any]:
    return {"uids": list(uids), "states": list(states), "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_an_attempt_starts_without_the_earlier_attempts_state(site: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = left(site, world.ROUND_UID), left(site, str(uuid.uuid4()))
    assert prepared(site.root, monkeypatch, stateRound=other.name) == 0
    assert not own.exists()
    assert (other / "optimizer.safetensors").is_file()


def test_states_are_removed_except_the_newest_and_those_of_live_rounds(
    site: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, running, begun = (left(site, str(uuid.uuid4()), timedelta(days=300)) for _ in range(3))
    old = [left(site, str(uuid.uuid4()), timedelta(days=1, minutes=n)) for n in range(prepare.STATES_KEPT + 3)]
    rounds_alive = live(world.ROUND_UID, begun.name, states=[used.name, running.name])
    assert prepared(site.root, monkeypatch, stateRound=used.name, liveRounds=rounds_alive) == 0
    # This task starts from `used`, so `used` is the newest.
    kept = {used, running, begun, *old[: prepare.STATES_KEPT - 1]}
    assert {path.name for path in site.states.iterdir()} == {path.name for path in kept}


@as_root
def test_an_unremovable_state_of_this_round_fails_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = world.pod(tmp_path)
    left(folders, world.ROUND_UID)
    for path in (tmp_path, folders.secrets, *folders.secrets.rglob("*")):
        os.chown(path, 65532, 65532)
    with as_the_pods_user(tmp_path):
        assert prepared(Path(), monkeypatch) == 70
    outcome = json.loads((tmp_path / "termination").read_text())
    assert outcome["reason"] == "PodFailed"
    assert f"as root: rm -r states/{world.ROUND_UID}" in outcome["message"]
    assert not folders.task_file.exists()
