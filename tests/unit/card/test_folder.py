"""A model's folder is used only if the named hub signed its card, and the card describes the file."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.card.models import THRESHOLD, Made, write_folder
from wardround.card import folder
from wardround.card.folder import FolderRefused
from wardround.documents.keys import Identity
from wardround.sealing import envelope
from wardround.sealing.cards import sign_card
from wardround.wire import canonical, card, codec
from wardround.wire.card import KNOWN, CardField


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return write_folder(tmp_path / "model")


def change(made: Made, key: str, value: Any) -> None:
    """Changes card.json."""
    place = made.path / folder.CARD_FILE
    document = json.loads(place.read_text())
    document[key] = value
    place.write_text(json.dumps(document))


def refusal(made: Made, fingerprint: str | None = None) -> str:
    with pytest.raises(FolderRefused) as refused:
        folder.load(made.path, fingerprint or made.identity.fingerprint)
    return str(refused.value)


def test_a_folder_that_matches_is_loaded(made: Made) -> None:
    loaded = folder.load(made.path, made.identity.fingerprint)
    assert loaded.card == made.card
    assert loaded.model == (made.path / folder.MODEL_FILE).read_bytes()


def test_people_can_read_the_card(made: Made) -> None:
    text = (made.path / folder.CARD_FILE).read_text()
    assert '"intendedUse": "research"' in text


def test_another_spelling_of_the_same_card_is_loaded(made: Made) -> None:
    place = made.path / folder.CARD_FILE
    place.write_text(json.dumps(json.loads(place.read_text()), indent=7))
    assert folder.load(made.path, made.identity.fingerprint).card == made.card


def test_a_changed_file_is_refused(made: Made) -> None:
    place = made.path / folder.MODEL_FILE
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    assert "is not the model that card.json describes" in refusal(made)


def test_a_changed_card_is_refused(made: Made) -> None:
    document = json.loads((made.path / folder.CARD_FILE).read_text())
    change(made, "card", {**document["card"], "people": 100_000})
    assert "somebody has changed it" in refusal(made)


def test_a_card_of_another_hub_is_refused_also_with_that_hubs_key_and_signature(made: Made) -> None:
    other = Identity.generate()
    place = made.path / folder.CARD_FILE
    place.write_text(folder.signed(sign_card(made.card, other.key), other.public).text)
    words = refusal(made)
    assert other.fingerprint in words
    assert "Ask the hub's administrator" in words


def test_a_key_that_is_not_the_signers_is_refused(made: Made) -> None:
    other = Identity.generate()
    change(made, "hubKey", canonical.encode(other.public))
    assert "somebody has changed it" in refusal(made, other.fingerprint)


@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_another_signature_is_refused(made: Made, signature: str) -> None:
    change(made, "signature", signature)
    assert "somebody has changed it" in refusal(made)


@pytest.mark.parametrize("signature", [None, 7, "not base64", "\ud800", 1.5, float("nan")])
def test_a_signature_of_any_other_form_is_refused(made: Made, signature: Any) -> None:
    change(made, "signature", signature)
    assert "as the card of a model" in refusal(made)


@pytest.mark.parametrize("name", ["approvedBy", "Card", "limits"])
def test_a_text_beside_the_card_is_refused(made: Made, name: str) -> None:
    """People read the file, and nobody has signed this text."""
    change(made, name, "The ethics board has approved the model.")
    assert "as the card of a model" in refusal(made)


@pytest.mark.parametrize("value", [1.5, "\ud800", float("inf")])
def test_a_card_that_canonical_json_cannot_hold_is_refused(made: Made, value: Any) -> None:
    document = json.loads((made.path / folder.CARD_FILE).read_text())
    change(made, "card", {**document["card"], "people": value})
    assert "as the card of a model" in refusal(made)


@pytest.mark.parametrize("name", [folder.CARD_FILE, folder.MODEL_FILE])
def test_nothing_but_a_file_of_a_possible_length_is_read(made: Made, name: str) -> None:
    """Nothing is verified yet, and a folder may come from anybody."""
    (made.path / name).unlink()
    (made.path / name).symlink_to("/dev/zero")
    assert f"{name} is not a file" in refusal(made)
    (made.path / name).unlink()
    os.mkfifo(made.path / name)
    assert f"{name} is not a file" in refusal(made)
    (made.path / name).unlink()
    with (made.path / name).open("wb") as file:
        file.truncate(1 << 40)
    words = "it is longer than that model" if name == folder.MODEL_FILE else "it is longer than 8388608 bytes"
    assert words in refusal(made)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"card": 1}', '{"card": {"a": 0.5}, "hubKey": "", "signature": ""}'])
def test_a_file_that_is_no_card_is_refused(made: Made, text: str) -> None:
    (made.path / folder.CARD_FILE).write_text(text)
    assert "as the card of a model" in refusal(made)


@pytest.mark.parametrize("name", [folder.CARD_FILE, folder.MODEL_FILE])
def test_a_folder_that_lacks_a_file_is_refused_with_its_name(made: Made, name: str) -> None:
    (made.path / name).unlink()
    assert f"the folder {made.path} has no file {name}. Pull the model again: kubectl wardround" in refusal(made)


@pytest.mark.parametrize("name", [folder.CARD_FILE, folder.MODEL_FILE])
def test_a_folder_that_does_not_exist_is_called_so(made: Made, name: str) -> None:
    """No name of a Python exception, and no card that is missing."""
    path = made.path / "typo"
    assert refusal(replace(made, path=path)) == f"there is no folder {path}. Name the folder of a model"
    path = made.path / name
    assert refusal(replace(made, path=path)).startswith(f"{path} is not a folder. Name the folder of a model")


def test_a_file_that_nobody_may_read_says_so(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    assert f"{made.path / folder.CARD_FILE} cannot be read: Permission denied." in refusal(made)


def test_a_file_with_more_bytes_than_its_card_says_is_another_model(made: Made) -> None:
    with (made.path / folder.MODEL_FILE).open("ab") as file:
        file.write(b"!")
    assert "is not the model that card.json describes: it is longer than that model." in refusal(made)


@pytest.mark.parametrize("fingerprint", ["sha256:", "sha256:" + "A" * 64, "abc"])
def test_a_text_that_is_no_fingerprint_is_refused(made: Made, fingerprint: str) -> None:
    assert "is no fingerprint of a hub" in refusal(made, fingerprint)


@pytest.mark.parametrize("version", card.KNOWN)
def test_a_card_of_a_known_version_is_read(tmp_path: Path, version: int) -> None:
    made = write_folder(tmp_path / "known", version=version)
    assert folder.load(made.path, made.identity.fingerprint).card == made.card


def test_a_card_of_a_newer_version_names_the_remedy_although_it_has_an_unknown_field(made: Made) -> None:
    newer = card.write(made.card) | {"version": KNOWN[-1] + 1, "unit": "mm"}
    signed_card = envelope.sign_envelope(newer, envelope.CARD, made.identity.key)
    with pytest.raises(
        folder.CardTooNew, match=f"This program reads versions up to {KNOWN[-1]}: install the version of"
    ):
        folder.signed(signed_card, made.identity.public)
    document = json.loads((made.path / folder.CARD_FILE).read_text()) | {"card": newer}
    document["signature"] = json.loads(signed_card)["signatures"][0]["sig"]
    (made.path / folder.CARD_FILE).write_text(json.dumps(document))
    assert "install the version of Wardround that the hub has" in refusal(made)


def test_a_card_that_names_hospitals_is_read(made: Made) -> None:
    named = replace(made.card, version=3, hospital_names=("Zürich North",))
    assert folder.signed(sign_card(named, made.identity.key), made.identity.public).card == named


def test_each_version_of_a_card_has_the_fields_of_the_one_before_and_one_more(made: Made) -> None:
    """A program of an older version refuses a card with a field that it does not know."""
    documents = {each: card.write(replace(made.card, version=each)) for each in KNOWN}
    assert documents[1].keys() & {"compression", "hospitalNames"} == set()
    assert documents[2].keys() - documents[1].keys() == {"compression"}
    assert documents[3].keys() - documents[2].keys() == {"hospitalNames"}
    for version, document in documents.items():
        assert card.read(document) == replace(made.card, version=version)
        for other in (each for each in KNOWN if each != version):
            with pytest.raises(codec.Malformed, match=r"missing|unknown field"):
                card.read({**document, "version": other})


def test_no_card_is_written_in_a_version_that_cannot_say_all_of_it(made: Made) -> None:
    for change, least in (({"compression": "Int8"}, 2), ({"hospital_names": ("North",)}, 3)):
        for version in range(1, least):
            with pytest.raises(ValueError, match=f"a card of version {version} has no field"):
                card.write(replace(made.card, version=version, **change))


@pytest.mark.parametrize("version", [0, KNOWN[-1] + 1, "1", None, 1.0])
def test_a_card_of_no_known_version_is_not_read(made: Made, version: Any) -> None:
    with pytest.raises(codec.Malformed, match=r"^version: expected one of 1, 2, 3$"):
        card.read(card.write(made.card) | {"version": version})


def test_a_card_whose_fields_are_not_those_of_its_digest_is_refused(made: Made) -> None:
    """A hospital compares the digest of the columns with its own DataSchema. But the fields of the card say which
    columns of the hospital's file the model and its code see: here, the target and a number of the patient."""
    fields = made.card.fields
    assert fields
    [target] = [each for each in fields if each.role == "Target"]
    chosen = CardField(name="noise", type="integer", role="Target", gap="Allowed")
    number = CardField(name="mrn", type="integer", role="Feature", gap="Allowed")
    for changed in (
        (*fields, number),
        (*(each for each in fields if each != target), replace(target, role="Feature"), chosen),
        tuple(reversed(fields)),
        (*fields, chosen),
    ):
        card = sign_card(replace(made.card, fields=changed), made.identity.key)
        with pytest.raises(FolderRefused, match="differ from the fields of the DataSchema"):
            folder.signed(card, made.identity.public)
        document = json.loads((made.path / folder.CARD_FILE).read_text())
        envelope = json.loads(card)
        document["card"] = json.loads(canonical.decode(envelope["payload"]))
        document["signature"] = envelope["signatures"][0]["sig"]
        (made.path / folder.CARD_FILE).write_text(json.dumps(document))
        assert "differ from the fields of the DataSchema" in refusal(made)


@pytest.mark.parametrize(
    "change",
    [
        {"round_name": "\x1b]0;owned\x07"},
        {"metrics": (replace(THRESHOLD, round_name="evaluate\u202e"),)},
        {"metrics": (replace(THRESHOLD, name="threshold\n"),)},
        {"metrics": (replace(THRESHOLD, value="nan"),)},
        {"metrics": (replace(THRESHOLD, value="-inf"),)},
        {"metrics": (replace(THRESHOLD, value="0." + "1" * 3000),)},
        {"metrics": (replace(THRESHOLD, rows="Training"),)},
        {"fields": (CardField(name="age\x1b", type="integer", role="Feature", gap="Allowed"),)},
    ],
)
def test_a_signed_card_with_texts_that_no_object_may_hold_is_refused(made: Made, change: dict[str, Any]) -> None:
    """Texts of a card come into the status of a Prediction, into Events and onto terminals."""
    card = sign_card(replace(made.card, **change), made.identity.key)
    with pytest.raises(FolderRefused, match="ManifestUnreadable"):
        folder.signed(card, made.identity.public)
