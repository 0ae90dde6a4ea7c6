"""What the courier writes onto the claim of models: a whole version or none, and only what the hub has signed."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.players.hub import Hub
from tests.unit.card.models import Made, write_folder
from tests.worlds.site import ASSIGNMENT
from wardround import tensors
from wardround.card import folder
from wardround.courier.models import ModelsUnusable, ModelsVolume, package
from wardround.plans.courier.delivery import Package
from wardround.sealing import envelope
from wardround.sealing.cards import sign_card
from wardround.sealing.refused import Refused
from wardround.wire import card as cards
from wardround.wire.assignment import AssignedBase, AssignedDelivery, Assignment
from wardround.wire.card import KNOWN, NAMES_SINCE, ModelCard

GO_ON = threading.Event()


@dataclass(frozen=True)
class Delivered:
    """A model with the assignment of a Deliver task. `file`: as the courier has fetched it."""

    hub: Hub
    made: Made
    assignment: Assignment

    @property
    def file(self) -> Path:
        return self.made.path / folder.MODEL_FILE

    def package(self, **changes: Any) -> Package:
        """`changes`: fields of the delivery."""
        known = self.assignment.delivery
        assert known is not None
        return package(replace(self.assignment, delivery=replace(known, **changes)), self.hub.identity.public)

    def signed(self, **card: Any) -> str:
        return sign_card(replace(self.made.card, **card), self.hub.identity.key)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    hub, made = Hub(), write_folder(tmp_path_factory.mktemp("fetched"))
    data = (made.path / folder.MODEL_FILE).read_bytes()
    sealed = hub.seal_model(data, made.card.round_uid, schema_digest=tensors.layout(data).schema_digest)
    delivery = AssignedDelivery(
        model_name="breast", model_uid="uid-1", version=1, keep=2, card=sign_card(made.card, hub.identity.key)
    )
    assignment = replace(
        ASSIGNMENT,
        task="Deliver",
        initial=False,
        base=AssignedBase(sealed.model.text, b"wrapped key"),
        round_namespace=made.card.round_namespace,
        schema=replace(ASSIGNMENT.schema, columns_digest=made.card.columns_digest),
        delivery=delivery,
    )
    return Delivered(hub, made, assignment)


@pytest.fixture
def claim(tmp_path: Path) -> ModelsVolume:
    (tmp_path / "models").mkdir()
    return ModelsVolume(tmp_path / "models")


def put(claim: ModelsVolume, delivered: Delivered, **changes: Any) -> None:
    claim.put(delivered.package(**changes), delivered.file, GO_ON)


def listing(claim: ModelsVolume) -> list[str]:
    return sorted(str(each.relative_to(claim.root)) for each in claim.root.rglob("*"))


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.reason


FIRST = [
    "breast",
    "breast/current",
    "breast/model.json",
    "breast/v1",
    "breast/v1/card.json",
    "breast/v1/model.safetensors",
]


def test_a_version_is_a_folder_that_every_reader_of_models_loads(claim: ModelsVolume, delivered: Delivered) -> None:
    put(claim, delivered)
    assert listing(claim) == FIRST
    loaded = folder.load(claim.root / "breast" / "v1", delivered.hub.identity.fingerprint)
    assert loaded.card == delivered.made.card
    assert (claim.root / "breast" / "current").read_text() == "v1\n"


def test_the_newest_versions_stay_as_many_as_the_model_keeps(claim: ModelsVolume, delivered: Delivered) -> None:
    for version in (1, 2, 3):
        put(claim, delivered, version=version)
    assert sorted(each.name for each in (claim.root / "breast").glob("v*")) == ["v2", "v3"]
    put(claim, delivered, version=4, keep=1)
    assert sorted(each.name for each in (claim.root / "breast").glob("v*")) == ["v4"]
    assert (claim.root / "breast" / "current").read_text() == "v4\n"


def test_a_version_that_is_delivered_again_gets_the_newest_card_and_no_other_file(
    claim: ModelsVolume, delivered: Delivered
) -> None:
    put(claim, delivered)
    before = (claim.root / "breast/v1/model.safetensors").stat().st_ino
    put(claim, delivered, card=delivered.signed(revision=7))
    assert listing(claim) == FIRST
    assert folder.load(claim.root / "breast/v1", delivered.hub.identity.fingerprint).card.revision == 7
    assert (claim.root / "breast/v1/model.safetensors").stat().st_ino == before


def test_an_older_card_does_not_take_the_place_of_a_newer_one(claim: ModelsVolume, delivered: Delivered) -> None:
    put(claim, delivered, card=delivered.signed(revision=7))
    put(claim, delivered, card=delivered.signed(revision=6))
    assert folder.load(claim.root / "breast/v1", delivered.hub.identity.fingerprint).card.revision == 7


def test_two_cards_of_one_revision_do_not_replace_each_other(claim: ModelsVolume, delivered: Delivered) -> None:
    """Otherwise a hub could change numbers, such as the threshold, without a new revision."""
    put(claim, delivered, card=delivered.signed(revision=7, issued="2026-01-01T00:00:00Z"))
    put(claim, delivered, card=delivered.signed(revision=7, issued="2026-01-02T00:00:00Z"))
    card = folder.load(claim.root / "breast/v1", delivered.hub.identity.fingerprint).card
    assert card.issued == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("case", ["columns", "code", "people"])
def test_a_later_card_changes_nothing_of_a_version_but_its_numbers(
    claim: ModelsVolume, delivered: Delivered, case: str
) -> None:
    """People of the hospital use the version already: its columns, its code, and who trained it stay."""
    put(claim, delivered)
    made = delivered.made.card
    changed: dict[str, Any] = {
        "columns": None,
        "code": replace(made.code, command=("python", "-m", "other")),
        "people": 9999,
    }
    field = "fields" if case == "columns" else case
    refused = refusal(lambda: put(claim, delivered, card=delivered.signed(revision=7, **{field: changed[case]})))
    assert refused == "ModelVersionDiffers"
    assert folder.load(claim.root / "breast/v1", delivered.hub.identity.fingerprint).card == made


def test_a_site_that_got_a_card_without_names_takes_one_with_names_after_its_upgrade(
    claim: ModelsVolume, delivered: Delivered
) -> None:
    def names() -> tuple[str, ...]:
        return folder.load(claim.root / "breast/v1", delivered.hub.identity.fingerprint).card.hospital_names

    def named(*hospitals: str, revision: int) -> str:
        return delivered.signed(version=NAMES_SINCE, hospital_names=hospitals, revision=revision)

    put(claim, delivered)
    put(claim, delivered, card=named("North", revision=delivered.made.card.revision))
    assert names() == ()
    put(claim, delivered, card=named("North", revision=7))
    assert names() == ("North",)
    assert refusal(lambda: put(claim, delivered, card=named("West", revision=8))) == "ModelVersionDiffers"


def test_a_version_never_goes_backwards(claim: ModelsVolume, delivered: Delivered) -> None:
    put(claim, delivered, version=3)
    before = listing(claim)
    assert refusal(lambda: put(claim, delivered, version=2)) == "ModelVersionBackwards"
    assert (listing(claim), (claim.root / "breast/current").read_text()) == (before, "v3\n")


def test_people_of_the_hospital_go_back_to_a_version_and_then_it_may_come(
    claim: ModelsVolume, delivered: Delivered
) -> None:
    put(claim, delivered, version=3)
    (claim.root / "breast/current").write_text("v2\n")
    assert refusal(lambda: put(claim, delivered, version=1)) == "ModelVersionBackwards"
    for version in (2, 2, 3):
        put(claim, delivered, version=version)
        assert (claim.root / "breast/current").read_text() == f"v{version}\n"
        assert {"v2", "v3"} <= {each.name for each in (claim.root / "breast").iterdir()}


def test_the_same_version_is_never_another_model(claim: ModelsVolume, delivered: Delivered) -> None:
    put(claim, delivered)
    (claim.root / "breast/v1/model.safetensors").write_bytes(b"another model")
    assert refusal(lambda: put(claim, delivered)) == "ModelVersionDiffers"
    (claim.root / "breast/v1/model.safetensors").unlink()
    assert refusal(lambda: put(claim, delivered)) == "ModelVersionDiffers"


@pytest.mark.parametrize("changes", [{"model_uid": "uid-2"}, {}], ids=["made anew", "not ours"])
def test_a_folder_of_another_model_is_left_alone(
    claim: ModelsVolume, delivered: Delivered, changes: dict[str, Any]
) -> None:
    if changes:
        put(claim, delivered)
    else:
        (claim.root / "breast").mkdir()
        (claim.root / "breast" / "notes.txt").write_text("people wrote this")
    before = listing(claim)
    assert refusal(lambda: put(claim, delivered, version=2, **changes)) == "ModelNameTaken"
    assert listing(claim) == before


@pytest.mark.parametrize(
    "owner",
    [
        {"name": "breast", "uid": "uid-1"},
        {"federation": "breast-cancer", "name": "breast", "uid": 1},
        ["breast-cancer", "breast", "uid-1"],
        None,
    ],
    ids=["no federation", "no text", "a list", "nothing"],
)
def test_a_folder_whose_file_names_no_owner_is_not_written(
    claim: ModelsVolume, delivered: Delivered, owner: object
) -> None:
    put(claim, delivered)
    place = claim.root / "breast/model.json"
    assert put_again(claim, delivered, place.read_text()) == ""
    assert put_again(claim, delivered, json.dumps(json.loads(place.read_text()))) == "", "another spelling"
    more = {**json.loads(place.read_text()), "note": "of a later courier"}
    assert put_again(claim, delivered, json.dumps(more)) == "", "after a rollback"
    assert put_again(claim, delivered, json.dumps(owner)) == "ModelNameTaken"


def put_again(claim: ModelsVolume, delivered: Delivered, owner: str) -> str:
    """The reason for which the version is refused; empty if it is not. `owner`: the content of model.json."""
    (claim.root / "breast/model.json").write_text(owner)
    try:
        put(claim, delivered)
    except Refused as refused:
        return refused.reason
    return ""


def test_a_link_in_the_place_of_the_folder_is_not_followed(claim: ModelsVolume, delivered: Delivered) -> None:
    elsewhere = claim.root.parent / "elsewhere"
    elsewhere.mkdir()
    (claim.root / "breast").symlink_to(elsewhere)
    assert refusal(lambda: put(claim, delivered)) == "ModelNameTaken"
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_is_not_the_signed_one_is_not_delivered(claim: ModelsVolume, delivered: Delivered) -> None:
    other = claim.root.parent / "other"
    other.write_bytes(b"another model")
    assert refusal(lambda: claim.put(delivered.package(), other, GO_ON)) == "Altered"
    assert "breast/v1" not in listing(claim)


class BreakingOff(io.BytesIO):
    """A file in the middle of which the disk fails."""

    def __init__(self, code: int) -> None:
        super().__init__(b"the beginning of a model")
        self._code = code

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(self._code, "no more")
        return super().read(8)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.ENOSPC, "ModelsClaimFull"), (errno.EDQUOT, "ModelsClaimFull"), (errno.EIO, "ModelsClaimUnusable")],
)
def test_a_claim_that_fails_has_the_version_before_and_takes_the_next_try(
    claim: ModelsVolume, delivered: Delivered, code: int, reason: str
) -> None:
    put(claim, delivered)
    with pytest.raises(ModelsUnusable) as failed:
        claim.put_open(delivered.package(version=2), BreakingOff(code), GO_ON)
    assert failed.value.reason == reason
    assert (claim.root / "breast/current").read_text() == "v1\n"
    assert not (claim.root / "breast/v2").exists()
    put(claim, delivered, version=2)
    assert listing(claim) == [*FIRST, "breast/v2", "breast/v2/card.json", "breast/v2/model.safetensors"]


def test_a_delivery_that_is_cancelled_leaves_no_version(claim: ModelsVolume, delivered: Delivered) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ModelsUnusable):
        claim.put(delivered.package(), delivered.file, stop)
    assert not (claim.root / "breast/v1").exists()


def test_a_model_with_the_longest_name_is_delivered_whole(claim: ModelsVolume, delivered: Delivered) -> None:
    """A name of Kubernetes may have 253 characters, and the name of a file 255."""
    name = "m" * 253
    for version in (1, 2, 3):
        wanted = replace(delivered.package(keep=1), version=version)
        claim.put(replace(wanted, owner=replace(wanted.owner, name=name)), delivered.file, GO_ON)
    assert (claim.root / name / "current").read_text() == "v3\n"


def test_the_next_delivery_deletes_the_folders_of_a_killed_courier(claim: ModelsVolume, delivered: Delivered) -> None:
    (claim.root / ".unfinished-v1").mkdir()
    (claim.root / ".unfinished-v1" / "model.safetensors").write_bytes(b"half")
    (claim.root / "breast").mkdir()
    put(claim, delivered)
    assert listing(claim) == FIRST


CARDS: dict[str, Callable[[ModelCard], dict[str, Any]]] = {
    "of another model": lambda card: {"model": replace(card.model, digest="sha256:" + "0" * 64)},
    "of other tensors": lambda card: {"model": replace(card.model, schema_digest="sha256:" + "0" * 64)},
    "of another federation": lambda _: {"round_namespace": "another"},
    "of other columns": lambda _: {"columns_digest": "sha256:" + "0" * 64},
}


class Killed(BaseException):
    """The process ends here."""


CALLS = ("open", "rename", "replace", "fsync", "unlink", "rmdir", "mkdir", "link")


@contextmanager
def failing(number: int, failure: BaseException, *, done: bool = False) -> Iterator[list[str]]:
    """The system call of this number raises the failure. `done`: after it has worked. Yields the calls so far."""
    calls: list[str] = []

    def replaced(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            calls.append(call.__name__)
            due = len(calls) == number
            if due and not done:
                raise failure
            answer = call(*arguments, **options)
            if due:
                raise failure
            return answer

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, replaced(getattr(os, name)))
        yield calls


@pytest.mark.parametrize(
    ("failure", "done"),
    [(Killed(), False), (Killed(), True), (OSError(errno.ENOSPC, "full"), False)],
    ids=["killed before", "killed after", "full"],
)
@pytest.mark.parametrize("earlier", [0, 1, 2])
def test_wherever_a_delivery_breaks_off_each_version_is_whole_and_the_next_try_ends(
    claim: ModelsVolume, delivered: Delivered, failure: BaseException, done: bool, earlier: int
) -> None:
    for number in itertools.count(1):
        shutil.rmtree(claim.root)
        claim.root.mkdir()
        for version in range(1, earlier + 1):
            put(claim, delivered, version=version)
        with failing(number, failure, done=done) as calls, suppress(Killed, ModelsUnusable):
            put(claim, delivered, version=earlier + 1)
        assert_whole(claim, delivered)
        put(claim, delivered, version=earlier + 1)
        assert_whole(claim, delivered)
        assert (claim.root / "breast" / "current").read_text() == f"v{earlier + 1}\n"
        assert not [each for each in listing(claim) if each.startswith(".unfinished")]
        if len(calls) < number:
            break
    assert number > 20


def assert_whole(claim: ModelsVolume, delivered: Delivered) -> None:
    """A reader can load each version, and the one that `current` names."""
    home = claim.root / "breast"
    versions = [each.name for each in home.glob("v*")]
    for name in versions:
        folder.load(home / name, delivered.hub.identity.fingerprint)
    current = home / "current"
    assert not current.exists() or current.read_text().strip() in versions


@pytest.mark.parametrize("case", CARDS)
def test_a_card_that_is_not_the_models_is_refused(delivered: Delivered, case: str) -> None:
    card = delivered.signed(**CARDS[case](delivered.made.card))
    assert refusal(lambda: delivered.package(card=card)) == "CardDiffers"


def test_a_card_that_another_key_has_signed_is_refused(delivered: Delivered) -> None:
    card = sign_card(delivered.made.card, Hub().identity.key)
    assert refusal(lambda: delivered.package(card=card)) == "CardDiffers"


def test_a_card_of_a_newer_version_asks_for_an_upgrade_of_the_site(delivered: Delivered) -> None:
    newer = cards.write(delivered.made.card) | {"version": KNOWN[-1] + 1, "unit": "mm"}
    card = envelope.sign_envelope(newer, envelope.CARD, delivered.hub.identity.key)
    assert refusal(lambda: delivered.package(card=card)) == "AssignmentNotUnderstood"


@pytest.mark.parametrize("text", ['{"card": {"version": 3, "unit": "mm"}}', "half", ""])
def test_a_card_on_the_claim_that_the_courier_cannot_read_is_not_replaced(
    claim: ModelsVolume, delivered: Delivered, text: str
) -> None:
    """A newer courier may have written it before a rollback, with numbers that people use."""
    put(claim, delivered)
    place = claim.root / "breast/v1/card.json"
    place.write_text(text)
    assert refusal(lambda: put(claim, delivered)) == "ModelVersionDiffers"
    assert place.read_text() == text
    place.unlink()
    put(claim, delivered)
    assert_whole(claim, delivered)
