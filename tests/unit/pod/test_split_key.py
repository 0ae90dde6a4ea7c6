"""The key of a Dataset's split: made once, kept at the hospital, and never replaced without a person's decision."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod import split_key
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import split
from wardround.wire.outcome import write

FILE = "split.key"
OTHER = b"another key of the hospital"


def fresh(root: Path) -> Folders:
    """A hospital whose claim `state` holds no key yet."""
    folders = world.pod(root)
    key_at(folders).unlink()
    key_at(folders).parent.rmdir()
    return folders


def key_at(folders: Folders, name: str = "breast") -> Path:
    return folders.secrets / "split" / name / "key"


def held(folders: Folders, known: str = "", *, file: str = "", name: str = "breast") -> bytes:
    return split_key.held(folders, name, file, known, world.RANDOM_BYTES)


def with_file(folders: Folders, content: bytes = world.SPLIT_KEY) -> Folders:
    (folders.raw / FILE).write_bytes(content)
    return folders


def task(**split_changes: str) -> dict[str, Any]:
    document = world.task()
    document["dataset"]["split"] |= split_changes
    return document


def test_the_first_pod_makes_a_random_private_key_for_each_dataset_and_later_pods_use_it(tmp_path: Path) -> None:
    folders = fresh(tmp_path)
    keys = [held(folders, name=name) for name in ("breast", "lung")]
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]
    assert [
        held(folders, split.fingerprint(key), name=name) for key, name in zip(keys, ("breast", "lung"), strict=True)
    ] == keys
    file = key_at(folders)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.parents[1].iterdir()) == ["breast", "lung"]


def test_the_report_has_the_fingerprint_and_no_file_of_another_container_has_the_key(tmp_path: Path) -> None:
    folders = fresh(tmp_path)
    first = prepare(folders, world.task())
    key = key_at(folders).read_bytes()
    assert first.split_fingerprint == split.fingerprint(key)
    written = [path for path in folders.root.rglob("*") if path.is_file() and folders.secrets not in path.parents]
    for content in (*(path.read_bytes() for path in written), write(first)):
        assert key not in content
        assert key.hex().encode() not in content
    again = prepare(folders, world.task(splitFingerprint=first.split_fingerprint))
    assert again == first


def test_a_reading_that_fails_later_tells_the_fingerprint_too(tmp_path: Path) -> None:
    folders = world.pod(tmp_path, world.rows(5))
    with pytest.raises(PodError) as caught:
        prepare(folders, world.task())
    assert caught.value.reason == "TooFewSamples"
    assert caught.value.outcome.split_fingerprint == split.fingerprint(world.SPLIT_KEY)


def test_pods_that_make_a_key_at_the_same_time_share_one(tmp_path: Path) -> None:
    folders = fresh(tmp_path)
    keys = world.at_once(8, lambda _: held(folders))
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in key_at(folders).parents[1].iterdir()] == ["breast"]


def test_a_pod_that_loses_the_race_uses_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod sees no key and makes one, but another pod's key is in place first."""
    folders = world.pod(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert held(folders) == world.SPLIT_KEY


def test_a_key_that_was_known_and_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """As after the claim `state` was lost: another split would train on rows that were held out."""
    folders = fresh(tmp_path)
    known = prepare(folders, world.task()).split_fingerprint
    folders = fresh(tmp_path)
    for path in (folders.task_file, *folders.data.iterdir()):
        path.unlink()
    with pytest.raises(PodError) as caught:
        prepare(folders, world.task(splitFingerprint=known))
    assert (caught.value.reason, caught.value.exit_code) == ("SplitKeyLost", 65)
    for words in (
        "secrets/split/breast/key on the claim `state` is not there",
        "this pod read no row",
        "apply the Dataset under another name",
    ):
        assert words in caught.value.message
    assert not key_at(folders).exists()
    assert not folders.task_file.exists()
    assert list(folders.data.iterdir()) == []


def test_a_dataset_that_is_deleted_and_applied_again_gets_a_new_key(tmp_path: Path) -> None:
    """Its status knows no fingerprint. A person has decided so."""
    folders = fresh(tmp_path)
    first = held(folders)
    folders = fresh(tmp_path)
    assert held(folders) != first


def test_a_dataset_under_another_name_gets_another_split(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    renamed = prepare(folders, world.task(datasetName="breast-2"))
    assert renamed.split_fingerprint != split.fingerprint(world.SPLIT_KEY)
    assert key_at(folders).read_bytes() == world.SPLIT_KEY


def test_a_key_that_has_changed_is_not_used(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    key_at(folders).write_bytes(OTHER)
    with pytest.raises(PodError) as caught:
        prepare(folders, world.task(splitFingerprint=split.fingerprint(world.SPLIT_KEY)))
    assert (caught.value.reason, caught.value.exit_code) == ("SplitKeyChanged", 65)
    assert "the fingerprint of the key differs from status.splitFingerprint" in caught.value.message
    assert OTHER.decode() not in caught.value.message
    assert not folders.data.exists()


def test_a_fingerprint_that_somebody_edited_stops_the_reading_and_changes_no_key(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    with pytest.raises(PodError) as caught:
        held(folders, "0" * 12)
    assert caught.value.reason == "SplitKeyChanged"
    assert key_at(folders).read_bytes() == world.SPLIT_KEY
    # Without the fingerprint, the key on the claim still decides.
    assert held(folders, "") == world.SPLIT_KEY


def _emptied(folders: Folders) -> None:
    key_at(folders).write_bytes(b"")


def _short(folders: Folders) -> None:
    key_at(folders).write_bytes(world.SPLIT_KEY[:15])


def _deleted(folders: Folders) -> None:
    key_at(folders).unlink()


def _folder(folders: Folders) -> None:
    _deleted(folders)
    key_at(folders).mkdir()


@pytest.mark.parametrize("known", ["", split.fingerprint(world.SPLIT_KEY)], ids=["first use", "known"])
@pytest.mark.parametrize("spoil", [_emptied, _short, _deleted, _folder])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, spoil: Callable[[Folders], None], known: str) -> None:
    folders = world.pod(tmp_path)
    spoil(folders)
    with pytest.raises(PodError, match="apply the Dataset under another name") as caught:
        held(folders, known)
    assert caught.value.reason == "SplitKeyLost"


@pytest.mark.parametrize("damage", [lambda key: key[:20], lambda key: bytes(len(key))], ids=["cut", "zeros"])
def test_a_damaged_key_of_a_valid_length_is_not_used(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A file system may leave this after a crash. The Dataset was applied again, so its status has no fingerprint."""
    folders = fresh(tmp_path)
    prepare(folders, world.task())
    key_at(folders).write_bytes(damage(key_at(folders).read_bytes()))
    with pytest.raises(PodError, match="the key of the split differs") as caught:
        prepare(folders, world.task())
    assert caught.value.reason == "SplitChanged"


def test_a_volume_on_which_no_key_can_be_made_fails_the_pod(tmp_path: Path) -> None:
    folders = fresh(tmp_path)
    key_at(folders).parents[1].rmdir()
    key_at(folders).parents[1].write_text("no folder")
    with pytest.raises(PodError, match=r"cannot be made: (FileExists|NotADirectory)Error") as caught:
        held(folders)
    assert caught.value.reason == "PodFailed"


def test_hospitals_with_the_same_key_file_hold_out_the_same_patients(tmp_path: Path) -> None:
    """One hospital's editor has ended the file with a line feed."""
    fingerprints, held_out = set(), []
    for name, content in (("one", world.SPLIT_KEY), ("another", world.SPLIT_KEY + b"\r\n")):
        folders = with_file(fresh(tmp_path / name), content)
        fingerprints.add(prepare(folders, task(keyFile=FILE)).split_fingerprint)
        held_out.append(folders.view_file("train").read_bytes())
        assert not key_at(folders).exists()
    assert fingerprints == {split.fingerprint(world.SPLIT_KEY)}
    assert held_out[0] == held_out[1]


def test_a_key_file_that_has_changed_is_not_used(tmp_path: Path) -> None:
    folders = with_file(world.pod(tmp_path), OTHER)
    with pytest.raises(PodError, match=r"the file split\.key .* has another key than") as caught:
        held(folders, split.fingerprint(world.SPLIT_KEY), file=FILE)
    assert caught.value.reason == "SplitKeyChanged"


def _link_out(folders: Folders) -> None:
    outside = folders.root / "outside"
    outside.write_bytes(world.SPLIT_KEY)
    (folders.raw / FILE).symlink_to(outside)


def _link_to_itself(folders: Folders) -> None:
    (folders.raw / FILE).symlink_to(FILE)


def _fifo(folders: Folders) -> None:
    os.mkfifo(folders.raw / FILE)


def _blank(folders: Folders) -> None:
    with_file(folders, b"0123456789abcde" + b"\n" * 20)


def _data(folders: Folders) -> None:
    (folders.raw / FILE).symlink_to("cases.csv")


def _cut(folders: Folders) -> None:
    """Nobody must take the beginning of a longer file for the key."""
    with_file(folders, b"k" * 1000 + b" " * 100 + b"k")


def _nothing(folders: Folders) -> None:
    """The file is not there."""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "is not on the volume"),
        (_fifo, "is not on the volume"),
        (_link_out, "leads out of the volume"),
        (_link_to_itself, r"(cannot be read \(|is not on the volume)"),
        (_blank, "has fewer than 16 bytes"),
        (_data, "has more than 1024 bytes, so it is no key"),
        (_cut, "has more than 1024 bytes, so it is no key"),
    ],
)
def test_an_unusable_key_file_is_named(tmp_path: Path, make: Callable[[Folders], None], words: str) -> None:
    folders = world.pod(tmp_path)
    make(folders)
    with pytest.raises(PodError, match=words) as caught:
        prepare(folders, task(keyFile=FILE))
    assert caught.value.reason == "SplitKeyLost"
    assert "(Dataset.spec: claimName, split.keyFile)" in caught.value.message
    assert "patient-" not in caught.value.message
    assert not folders.data.exists()


def test_a_link_within_the_volume_is_followed(tmp_path: Path) -> None:
    """As in a volume from a Secret."""
    folders = world.pod(tmp_path)
    (folders.raw / "..data").write_bytes(OTHER)
    (folders.raw / FILE).symlink_to("..data")
    assert held(folders, file=FILE) == OTHER


@pytest.mark.parametrize("name", ["../escape", "/etc/hostname"])
def test_a_key_file_outside_the_volume_is_refused_here_too(tmp_path: Path, name: str) -> None:
    """The API server refuses such a Dataset already."""
    with pytest.raises(PodError, match="leads out of the volume"):
        held(world.pod(tmp_path), file=name)
