"""The report shows a card only if the hub has signed it, and if it is that of a version of the model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.card.models import THRESHOLD, write_folder
from tests.unit.cli import reported
from tests.unit.cli.test_report import parsed
from wardround.card import folder
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.documents.keys import Identity
from wardround.kubectl import parser
from wardround.sealing.cards import sign_card
from wardround.wire import card as cards
from wardround.wire.card import CardMetric, ModelCard
from wardround.wire.digests import digest

# As the card of an older hub has it, and as the page shows it.
PEOPLE, ROUNDED = 15846, 15850
SHARED = CardMetric(name="auc", value="0.913", people=640, hospitals=2, rows="Test", round_name="test-rows")
ALONE = replace(SHARED, name="brier", value="0.0737", hospitals=1)


@dataclass(frozen=True)
class Pulled:
    """A model's folder, and the objects of the hub that signed its card."""

    path: Path
    identity: Identity
    card: ModelCard
    objects: dict[str, Any]

    def sign(self, **changes: Any) -> None:
        """The hub signs a card with these changes."""
        card = sign_card(replace(self.card, **changes), self.identity.key)
        (self.path / folder.CARD_FILE).write_text(folder.signed(card, self.identity.public).text)


@pytest.fixture
def pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulled:
    made = write_folder(tmp_path / "model")
    card = replace(
        made.card,
        version=3,
        round_namespace="fed",
        round_name=reported.FIRST,
        round_uid=reported.FIRST,
        hospitals=3,
        people=PEOPLE,
        metrics=(THRESHOLD, SHARED, ALONE),
        hospital_names=("North Hospital", "West Clinic"),
    )
    objects = reported.objects()
    reported.serve(monkeypatch, objects)
    folder_with_card = Pulled(made.path, made.identity, card, objects)
    folder_with_card.sign()
    return folder_with_card


def report(pulled: Pulled, fingerprint: str | None = None, kind: str = "fm/heart") -> str:
    """The page that the command writes."""
    page = pulled.path.parent / "report.html"
    words = ["report", kind, "-n", "fed", "-o", str(page), "--card", str(pulled.path)]
    options = parser().parse_args([*words, "--hub-fingerprint", fingerprint or pulled.identity.fingerprint])
    try:
        assert options.run(cast(Cluster, None), options) == 0
    except CommandError:
        assert not page.exists()
        raise
    return page.read_text()


def test_the_page_shows_the_signed_card_and_by_whom_it_is_signed(pulled: Pulled) -> None:
    text = report(pulled)
    parsed(text)
    assert "Card that the hub has signed" in text
    assert f"the card that the hub has signed (key fingerprint {pulled.identity.fingerprint})" in text
    assert "3: North Hospital, West Clinic and 1 that the card does not name" in text
    assert "the row gets no prediction" in text
    assert pulled.card.model.digest in text
    assert "Nobody has signed this page" not in text.replace("&#x27;", "'")


def test_no_number_of_a_single_hospital_and_no_exact_number_of_samples_comes_from_the_card(pulled: Pulled) -> None:
    text = report(pulled)
    assert SHARED.value in text
    assert ALONE.value not in text
    assert str(PEOPLE) not in text


def test_the_page_shows_the_architecture_and_the_rounded_number_of_people(pulled: Pulled) -> None:
    text = report(pulled)
    assert f"<dd>{ROUNDED}</dd>" in text
    assert "hidden layers of 4, 3 units, ReLU, output Logistic" in text


def test_the_number_of_people_of_one_hospital_is_not_on_the_page(pulled: Pulled) -> None:
    pulled.sign(hospitals=1, hospital_names=())
    text = report(pulled)
    assert str(ROUNDED) not in text
    assert "people in its last training round" not in text


def test_a_card_that_names_nobody_says_so(pulled: Pulled) -> None:
    pulled.sign(version=1, hospital_names=())
    assert "3. The card names none of them" in report(pulled)


def test_a_changed_card_makes_no_report(pulled: Pulled) -> None:
    document = json.loads((pulled.path / folder.CARD_FILE).read_text())
    document["card"]["hospitalNames"] = ["Somebody Else"]
    (pulled.path / folder.CARD_FILE).write_text(json.dumps(document))
    with pytest.raises(CommandError, match="is not what the hub signed"):
        report(pulled)


def test_a_card_of_another_hub_makes_no_report(pulled: Pulled) -> None:
    with pytest.raises(CommandError, match="is signed by a hub whose key has the fingerprint"):
        report(pulled, Identity.generate().fingerprint)


@pytest.mark.parametrize("changes", [{"round_uid": "another"}, {"round_namespace": "elsewhere"}])
def test_the_card_of_another_model_makes_no_report(pulled: Pulled, changes: dict[str, str]) -> None:
    pulled.sign(**changes)
    with pytest.raises(CommandError, match="no version of federatedmodel/heart in fed"):
        report(pulled)


def test_the_page_says_whether_the_hub_has_a_newer_card(pulled: Pulled) -> None:
    [version] = [each for each in pulled.objects["model"][1] if each["spec"]["roundUID"] == reported.FIRST]
    named = {"revision": pulled.card.revision, "signedBy": pulled.identity.fingerprint}
    version["status"]["card"] = {**named, "digest": cards.digest(pulled.card)}
    assert ">this one<" in report(pulled)
    version["status"]["card"] = {**named, "revision": 9, "digest": digest(b"newer")}
    assert f"revision 9, digest {digest(b'newer')}. This page shows another one" in report(pulled)


def test_markup_and_control_characters_on_a_card_stay_text(pulled: Pulled) -> None:
    pulled.sign(use=replace(pulled.card.use, limits="</dd><script>alert(1)</script>\x1b[31m\u202e"))
    text = report(pulled)
    parsed(text)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_card_is_only_for_the_report_of_a_model_and_needs_the_hubs_fingerprint(pulled: Pulled) -> None:
    with pytest.raises(CommandError, match="--card goes only with federatedmodel/NAME"):
        report(pulled, kind="site/site")
    with pytest.raises(CommandError, match="--hub-fingerprint takes the fingerprint"):
        report(pulled, "sha256:12")
    words = ["report", "fm/heart", "-o", str(pulled.path.parent / "report.html"), "--card", str(pulled.path)]
    options = parser().parse_args(words)
    with pytest.raises(CommandError, match="--card needs --hub-fingerprint"):
        options.run(cast(Cluster, None), options)
