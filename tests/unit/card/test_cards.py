"""The card says how a model was made, back to the start, and which rounds have measured it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.players.hub import Hub
from tests.unit.card.models import SCHEMA, making
from tests.unit.plans_hub.builders import NOW
from wardround.api import schema_text
from wardround.api.federatedround import Result, ResultMetric, Task
from wardround.api.variable_text import MOST_BYTES
from wardround.documents import cards
from wardround.documents.keys import Identity, Model
from wardround.sealing.cards import sign_card
from wardround.tabular import dataschema
from wardround.wire import card as card_wire
from wardround.wire.card import CardArchitecture, CardParent
from wardround.wire.compression import Compression
from wardround.wire.digests import digest


def base(task: Task, uid: str) -> Model:
    """A stored result of the hub."""
    sealed = Hub().seal_model(b"tensors", uid).model
    return replace(sealed, stored=replace(sealed.stored, task=task))


def result(*metrics: ResultMetric) -> Result:
    return Result(digest="d", location="l", bytes=1, samples=2, metrics=metrics)


AUC = ResultMetric(
    name="auc",
    value="0.91",
    low="0.88",
    high="0.94",
    better="Higher",
    people=200,
    hospitals=2,
    rows="Test",
    model="train-1",
)


def test_a_card_lists_the_fields_in_their_order_with_role_unit_and_gap() -> None:
    fields = cards.first(making(), NOW).fields
    assert fields is not None
    assert [(each.name, each.role, each.unit, each.gap) for each in fields] == [
        ("side", "Ignored", "", "NoPrediction"),
        ("age", "Feature", "", "NoPrediction"),
        ("radius", "Feature", "mm", "NoPrediction"),
        ("seen", "Ignored", "", "Allowed"),
        ("malignant", "Target", "", "Allowed"),
    ]
    assert fields[-1].categories == ("0", "1")


def test_the_data_schema_on_a_card_has_the_digest_of_the_rounds() -> None:
    made = cards.first(making(), NOW)
    spec = made.data_schema
    assert spec is not None
    assert dataschema.digest(dataschema.parse(spec)) == made.data_schema_digest
    assert dataschema.parse(spec) == dataschema.parse(SCHEMA)


def test_the_card_of_a_first_model_says_what_people_wrote_and_the_statistics_it_came_from() -> None:
    statistics = base("Statistics", "00000000-0000-4000-8000-000000000001")
    made = cards.first(making(base=statistics), NOW)
    assert (made.revision, made.hospitals, made.people, made.metrics) == (1, 2, 400, ())
    assert (made.use.intended_use, made.use.licence) == ("research", "CC-BY-4.0")
    assert made.architecture == CardArchitecture(hidden=(4, 3))
    assert made.parents == (
        CardParent(
            task="Statistics",
            round_name="statistics",
            round_uid="00000000-0000-4000-8000-000000000001",
            digest=digest(b"tensors"),
        ),
    )


@pytest.mark.parametrize(("samples", "people"), [(398, 400), (1437, 1440), (12_346, 12_350)])
def test_the_number_of_people_has_the_digits_of_a_result(samples: int, people: int) -> None:
    """Two cards of rounds with and without a small hospital would give its exact number of patients."""
    known = making()
    stored = replace(known.stored, result=replace(known.stored.result, samples=samples))
    assert cards.first(replace(known, stored=stored), NOW).people == people


@pytest.mark.parametrize(("compression", "version"), [(None, 1), ("BFloat16", 2), ("Int8", 2)])
def test_only_the_card_of_compressed_updates_has_the_version_that_names_them(
    compression: Compression | None, version: int
) -> None:
    known = making()
    stored = replace(known.stored, result=replace(known.stored.result, compression=compression))
    made = cards.first(replace(known, stored=stored), NOW)
    assert (made.version, made.compression) == (version, compression or "None")


def test_only_the_card_that_names_hospitals_has_the_version_of_names() -> None:
    """Sites, Predictions and command lines of older versions refuse a card with a field that they do not know."""
    named, nameless = cards.first(making(hospital_names=("North", "West")), NOW), cards.first(making(), NOW)
    assert (named.version, named.hospital_names) == (3, ("North", "West"))
    assert (nameless.version, "hospitalNames" in card_wire.write(nameless)) == (1, False)


@pytest.mark.parametrize(("compression", "version"), [(None, 1), ("Int8", 2)])
def test_a_card_without_names_says_the_rest_in_the_lowest_version(
    compression: Compression | None, version: int
) -> None:
    known = making(hospital_names=("North", "West"))
    stored = replace(known.stored, result=replace(known.stored.result, compression=compression))
    made = cards.first(replace(known, stored=stored), NOW)
    assert cards.without_names(made) == replace(made, version=version, hospital_names=())


def test_the_next_revision_names_the_same_hospitals() -> None:
    """A hospital that has the model refuses a card that differs in more than its numbers."""
    after = cards.measured(
        cards.first(making(hospital_names=("North",)), NOW), result(AUC), "evaluate", "Evaluate", NOW
    )
    assert after is not None
    assert (after.version, after.hospital_names) == (3, ("North",))


def test_a_later_model_has_the_parents_of_its_base_and_the_bases_layers() -> None:
    earlier = cards.first(making(base=base("Statistics", "00000000-0000-4000-8000-000000000001")), NOW)
    later = cards.first(
        making(
            spec={"initial": None, "base": {"roundName": "train-1"}, "parameters": {"epochs": "5"}},
            base=base("Train", "00000000-0000-4000-8000-000000000002"),
            base_card=earlier,
        ),
        NOW,
    )
    assert [each.round_name for each in later.parents] == ["train-1", "statistics"]
    assert later.architecture == CardArchitecture(hidden=(4, 3))


def test_a_model_from_pushed_weights_names_them_as_its_parent_and_has_their_layers() -> None:
    pushed = replace(cards.first(making(), NOW), parents=(), architecture=CardArchitecture(hidden=(7,)))
    made = cards.first(
        making(
            spec={"initial": None, "base": {"versionName": "pretrained"}, "parameters": {"epochs": "5"}},
            base=base("Train", "00000000-0000-4000-8000-000000000002"),
            base_card=pushed,
        ),
        NOW,
    )
    assert [(each.task, each.round_name, each.digest) for each in made.parents] == [
        ("Pushed", "pretrained", digest(b"tensors"))
    ]
    assert made.architecture == CardArchitecture(hidden=(7,))


def test_a_card_lists_the_nearest_parents_and_the_first_one_and_counts_those_between() -> None:
    """Somebody could hide pushed weights behind many rounds."""
    pushed = CardParent(task="Pushed", round_name="pretrained", round_uid="first", digest="d")
    made = replace(cards.first(making(), NOW), parents=(pushed,))
    for number in range(card_wire.MOST_PARENTS + 4):
        made = cards.first(making(base=base("Train", f"{number:08d}-0000-4000-8000-000000000002"), base_card=made), NOW)
        assert made.parents[-1] == pushed
    assert len(made.parents) == card_wire.MOST_PARENTS
    nearest = [f"{number:08d}" for number in range(card_wire.MOST_PARENTS + 3, 4, -1)]
    assert [each.round_uid[:8] for each in made.parents[:-1]] == nearest
    assert made.parents_omitted == 5


@pytest.mark.parametrize(
    "spec",
    [
        {"command": ["python", "/trainer.py"]},
        {"parameters": {"hidden": "wide"}},
        {"parameters": {"hidden": "-4"}},
        {"parameters": {"hidden": "4,1e3"}},
        {"parameters": {"hidden": "9" * 1000}},
        {"parameters": {"model": "forest"}},
    ],
)
def test_the_model_of_another_image_has_no_architecture(spec: dict[str, Any]) -> None:
    """An image may bear the trainer's command and read other parameters. Its round has to end all the same."""
    assert cards.first(making(spec=spec), NOW).architecture is None


def test_the_longest_card_fits_into_a_secret_and_into_a_status() -> None:
    """As many fields as an environment variable holds, and parents with the longest names."""
    fields: list[dict[str, Any]] = [{"name": "sick", "type": "boolean"}]
    while len(schema_text.dump({"fields": fields, "target": "sick"})) < MOST_BYTES - 200 and len(fields) < 1000:
        fields.append({"name": f"{len(fields):04d}" + "x" * 60, "type": "number", "unit": "mm", "minimum": "0"})
    uid = "00000000-0000-4000-8000-000000000002"
    parent = CardParent(task="Statistics", round_name="r" * 253, round_uid=uid, digest=digest(b"r"))
    earlier = replace(cards.first(making(), NOW), parents=(parent,) * card_wire.MOST_PARENTS)
    spec = {"parameters": {f"{each:02d}" + "p" * 61: "v" * 1024 for each in range(64)}}
    made = making(
        schema={"fields": fields, "target": "sick"},
        spec=spec,
        base=base("Train", uid),
        base_card=earlier,
        hospital_names=("\U0001f3e5" * 128,) * card_wire.MOST_NAMES,
    )
    assert len(fields) == 1000
    assert len(sign_card(cards.first(made, NOW), Identity.generate().key)) < 900_000


def test_a_logistic_model_has_no_hidden_layers_and_the_default_has_the_trainers() -> None:
    assert cards.first(making(spec={"parameters": {"model": "logistic"}}), NOW).architecture == CardArchitecture(
        hidden=()
    )
    assert cards.first(making(spec={"parameters": {}}), NOW).architecture == CardArchitecture(hidden=(32, 16))


def test_a_round_without_its_data_schema_makes_a_card_without_fields() -> None:
    made = cards.first(making(schema=None), NOW)
    assert (made.fields, made.data_schema) == (None, None)


def test_a_measurement_makes_the_next_revision_and_the_same_one_makes_none() -> None:
    first = cards.first(making(), NOW)
    second = cards.measured(first, result(AUC), "evaluate", "Evaluate", NOW)
    assert second is not None
    assert (second.revision, second.metric("auc", "Test")) == (2, second.metrics[0])
    assert (second.metrics[0].value, second.metrics[0].low, second.metrics[0].round_name) == (
        "0.91",
        "0.88",
        "evaluate",
    )
    assert cards.measured(second, result(AUC), "evaluate", "Evaluate", NOW) is None


def test_a_newer_number_replaces_the_same_number_over_the_same_rows_alone() -> None:
    second = cards.measured(cards.first(making(), NOW), result(AUC), "evaluate", "Evaluate", NOW)
    assert second is not None
    newer = (replace(AUC, value="0.8"), replace(AUC, rows="Validation"))
    third = cards.measured(second, result(*newer), "again", "Evaluate", NOW)
    assert third is not None
    assert [(each.value, each.rows, each.round_name) for each in third.metrics] == [
        ("0.8", "Test", "again"),
        ("0.91", "Validation", "again"),
    ]


def test_a_number_over_fewer_hospitals_replaces_none_over_more() -> None:
    """Else one hospital and an author would choose the threshold from which a federation's model predicts a class."""
    second = cards.measured(cards.first(making(), NOW), result(AUC), "evaluate", "Evaluate", NOW)
    assert second is not None
    alone = (replace(AUC, value="1", hospitals=1), replace(AUC, rows="Validation", hospitals=1))
    third = cards.measured(second, result(*alone), "alone", "Evaluate", NOW)
    assert third is not None
    assert [(each.value, each.rows, each.hospitals) for each in third.metrics] == [
        ("0.91", "Test", AUC.hospitals),
        ("0.91", "Validation", 1),
    ]


def test_a_train_round_adds_numbers_and_replaces_none() -> None:
    """A hospital may have flipped its labels since. The gate refuses the new model, and the card of the good one
    stays as it is."""
    second = cards.measured(cards.first(making(), NOW), result(replace(AUC, rows="Validation")), "e", "Evaluate", NOW)
    assert second is not None
    poisoned = (replace(AUC, rows="Validation", value="0.2"), replace(AUC, name="loss", rows="Validation", value="2.3"))
    third = cards.measured(second, result(*poisoned), "train", "Train", NOW)
    assert third is not None
    assert [(each.name, each.value, each.round_name) for each in third.metrics] == [
        ("auc", "0.91", "e"),
        ("loss", "2.3", "train"),
    ]


def test_numbers_of_another_model_do_not_come_onto_the_card() -> None:
    assert (
        cards.measured(cards.first(making(), NOW), result(replace(AUC, model="other")), "evaluate", "Evaluate", NOW)
        is None
    )
