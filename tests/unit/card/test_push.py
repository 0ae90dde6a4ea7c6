"""`model push` takes a folder with or without a card, but no folder whose card does not match its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.card.models import Made, weights, write_folder
from wardround import tensors
from wardround.card import folder, push
from wardround.card.folder import FolderRefused


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return write_folder(tmp_path / "model")


def prepared(made: Made, tmp_path: Path) -> push.PreparedFile:
    (tmp_path / "scratch").mkdir()
    return push.prepare(made.path, tmp_path / "scratch")


def test_a_folder_of_any_hub_is_pushed_if_its_card_matches(made: Made, tmp_path: Path) -> None:
    assert prepared(made, tmp_path).digest == made.card.model.digest


def test_weights_without_a_card_are_pushed(made: Made, tmp_path: Path) -> None:
    (made.path / folder.CARD_FILE).unlink()
    assert prepared(made, tmp_path).digest == made.card.model.digest


def test_a_folder_without_weights_asks_for_them_and_not_for_a_pull(made: Made, tmp_path: Path) -> None:
    (made.path / folder.MODEL_FILE).unlink()
    with pytest.raises(FolderRefused) as refused:
        prepared(made, tmp_path)
    words = f"the folder {made.path} has no file model.safetensors. Save the weights to push as model.safetensors in"
    assert str(refused.value).startswith(words)
    assert "pull" not in str(refused.value)


def test_a_model_that_is_too_large_for_a_hub_is_called_so(made: Made, tmp_path: Path) -> None:
    with (made.path / folder.MODEL_FILE).open("ab") as file:
        file.truncate(push.LARGEST + 1)
    with pytest.raises(FolderRefused, match="has more than 268435456 bytes, the most that a hub takes"):
        prepared(made, tmp_path)


def test_a_folder_whose_card_describes_another_file_is_not_pushed(made: Made, tmp_path: Path) -> None:
    (made.path / folder.MODEL_FILE).unlink()
    tensors.write(made.path / folder.MODEL_FILE, weights((5,)))
    with pytest.raises(FolderRefused, match="is not the model that") as refused:
        prepared(made, tmp_path)
    assert f"If you have changed the model on purpose, {made.path / folder.CARD_FILE}" in str(refused.value)


@pytest.mark.parametrize("change", [{"use": {"intendedUse": "everything"}}, {"people": 9}])
def test_a_folder_with_a_changed_card_is_not_pushed(made: Made, tmp_path: Path, change: dict[str, object]) -> None:
    place = made.path / folder.CARD_FILE
    document = json.loads(place.read_text())
    document["card"] |= change
    place.write_text(json.dumps(document))
    with pytest.raises(FolderRefused, match="is not what the hub signed"):
        prepared(made, tmp_path)


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_with_an_unreadable_card_is_not_pushed(made: Made, tmp_path: Path, *, link: bool) -> None:
    place = made.path / folder.CARD_FILE
    place.unlink()
    if link:
        place.symlink_to(tmp_path / "nothing")
    else:
        place.write_text("{}")
    with pytest.raises(FolderRefused, match=r"card\.json"):
        prepared(made, tmp_path)
