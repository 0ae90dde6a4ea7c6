"""First weights of one length are combined. A hospital that claims or signs another length is left out by its name."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import NAMES, UID, accepted, at, collecting, hospital, participant, sent
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type
from wardround.api.roundtask import RoundTask
from wardround.api.task import Update, Upload
from wardround.plans.round import lengths
from wardround.plans.round.lengths import of_one_length
from wardround.plans.round.plan import plan
from wardround.plans.round.scratch import GIB
from wardround.plans.round.types import Aggregate, Observation, Plan
from wardround.plans.round.view import view_of
from wardround.sealing import manifests
from wardround.sealing.body import UPDATE, ciphertext_length, new_header
from wardround.sealing.keys import VerificationKey
from wardround.sealing.manifests import sign_update
from wardround.wire.models import UpdateManifest

LENGTH = 1000
HONEST = ciphertext_length(LENGTH)
LARGEST = ciphertext_length(8 * GIB)
FOUR = (*NAMES, "site-d")
FIVE = (*FOUR, "site-e")
SPEC: dict[str, Any] = {
    "participants": {"names": list(FOUR)},
    "quorum": {"min": 3, "graceSeconds": 0},
    "aggregation": {"strategy": "Median"},
}


def manifest(name: str, length: int, signer: str = "") -> str:
    """Signed by the hospital, or by another one."""
    header = new_header(
        bytes(32),
        kind=UPDATE,
        round_uid=UID,
        attempt=1,
        participant=name,
        base_digest="",
        image_digest="",
        schema_digest="",
        length=length,
    )
    signed = UpdateManifest(
        header=header,
        digest="sha256:d",
        wrapped_key=b"wrapped",
        samples=10,
        withheld=False,
        tells=True,
        min_cell=11,
        sealed_sums=None,
        bytes=ciphertext_length(length),
        expires="2026-11-24T18:00:00Z",
    )
    return sign_update(signed, hospital(signer or name).signing)


def update(name: str, claim: int = HONEST, length: int = LENGTH, signer: str = "") -> RoundTask:
    return sent(name, upload=Upload(bytes=claim), update=Update(manifest=manifest(name, length, signer), samples=10))


def closing(*tasks: RoundTask, **changes: Any) -> Observation:
    spec = {**SPEC, **changes.pop("spec", {})}
    participants = {name: participant(name) for name in FIVE}
    return collecting(*tasks, spec=spec, participants=participants, **changes)


def combined_names(made: Plan) -> list[str]:
    [action] = of_type(made, Aggregate)
    return [task.metadata.namespace for task in action.tasks]


@pytest.mark.parametrize(
    ("claim", "length"),
    [(LARGEST, 8 * GIB), (LARGEST, LENGTH), (HONEST, 8 * GIB), (1, 1 << 20), (HONEST + 1, LENGTH), (0, LENGTH)],
)
def test_a_hospital_whose_first_weights_have_another_length_is_left_out_by_its_name(claim: int, length: int) -> None:
    made = plan(closing(*map(update, NAMES), update("site-d", claim, length), scratch_limit=GIB))
    assert combined_names(made) == list(NAMES)
    assert attention_of(made) == {"site-d": "UpdateLengthDiffers"}
    assert (counts(made).sent, counts(made).failed) == (3, 1)
    [action] = of_type(made, Aggregate)
    alone = plan(closing(*map(update, NAMES), scratch_limit=GIB, spec={"participants": {"names": list(NAMES)}}))
    assert action.scratch == of_type(alone, Aggregate)[0].scratch


def test_a_length_that_another_key_has_signed_is_left_to_the_aggregation() -> None:
    made = plan(closing(*map(update, NAMES), update("site-d", length=8 * GIB, signer="site-a")))
    assert combined_names(made) == list(FOUR)


def test_a_manifest_that_nobody_can_read_makes_no_claim_true() -> None:
    bad = sent("site-d", upload=Upload(bytes=LARGEST))
    assert combined_names(plan(closing(*map(update, NAMES), bad, scratch_limit=GIB))) == list(NAMES)


def test_without_a_length_of_more_than_half_of_the_updates_the_round_names_the_longest() -> None:
    tasks = (update("site-a"), update("site-b"), update("site-c", LARGEST, 8 * GIB), update("site-d", LARGEST, 8 * GIB))
    made = plan(closing(*tasks))
    assert condition_of(made, "Failed") == ("True", "TooMuchForScratch")
    assert message_of(made, "Failed").startswith(
        "The strategy Median needs all updates at once on the scratch volume. The updates of 4 hospitals need more "
        "than aggregation.scratchGiB of the hub chart allows (20 GiB). The longest updates are those of site-c (8.00 "
        "GiB), site-d (8.00 GiB), site-a (0.00 MiB), site-b (0.00 MiB). The hub's administrator: If the message names"
    )


def test_the_first_to_send_is_not_believed_alone() -> None:
    first = update("site-d", LARGEST, 8 * GIB)
    for others, lost in (((), {}), (NAMES[:1], {}), (NAMES[:2], {"site-d": "UpdateLengthDiffers"})):
        view = view_of(closing(first, *map(update, others)))
        assert {part.name: part.reason for part in view.parts if part.reason} == lost


def two_liars_first(*honest: RoundTask) -> Observation:
    """Two of five hospitals have sent first, with a length of their own. The quorum needs site-a."""
    liars = [update(name, LARGEST, 8 * GIB) for name in ("site-d", "site-e")]
    spec = {"participants": {"names": list(FIVE)}, "quorum": {"min": 3, "required": ["site-a"], "graceSeconds": 600}}
    return closing(*liars, *honest, spec=spec)


def test_two_liars_that_send_first_cost_no_honest_hospital_its_place() -> None:
    busy = [accepted(name) for name in ("site-b", "site-c")]
    made = plan(two_liars_first(update("site-a"), *busy))
    assert condition_of(made, "Reconciling") == ("True", "Collecting")
    assert attention_of(made) == {}
    view = view_of(two_liars_first(*map(update, NAMES)))
    assert {part.name for part in view.parts if part.reason == "UpdateLengthDiffers"} == {"site-d", "site-e"}


def test_at_closing_only_updates_that_were_sent_say_which_length_is_common() -> None:
    """The hospital that is still busy could have made the other length the common one."""
    still = accepted("site-d", upload=Upload(bytes=LARGEST))
    tasks = (*map(update, NAMES[:2]), update("site-c", LARGEST, 8 * GIB), still)
    seen = closing(*tasks, spec={"quorum": {"min": 2, "graceSeconds": 60}, "aggregation": {}})
    waits = plan(seen)
    assert (of_type(waits, Aggregate), attention_of(waits)) == ([], {})
    closes = plan(replace(seen, now=at(170)))
    assert combined_names(closes) == ["site-a", "site-b"]
    assert attention_of(closes)["site-c"] == "UpdateLengthDiffers"


@pytest.mark.parametrize(
    "spec",
    [
        {"initial": None, "base": {"roundName": "train-0"}},
        {"task": "Statistics", "initial": None, "image": None, "aggregation": {}},
    ],
)
def test_only_first_weights_are_compared(spec: dict[str, Any]) -> None:
    seen = closing(*map(update, NAMES), update("site-d", 1), spec=spec)
    assert of_one_length(seen, view_of(seen).parts) == view_of(seen).parts
    assert [part.reason for part in view_of(seen).parts] == [""] * 4


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The manifests that are opened, in order. No length is known before."""
    texts: list[str] = []

    def open_update(text: str, key: VerificationKey) -> UpdateManifest:
        texts.append(text)
        return manifests.open_update(text, key)

    monkeypatch.setattr(lengths, "open_update", open_update)
    monkeypatch.setattr(lengths, "_known", {})
    return texts


def test_a_manifest_is_opened_at_the_first_look_only(opened: list[str]) -> None:
    tasks = (update("site-a"), update("site-b", HONEST + 1))
    views = [view_of(closing(*tasks)) for _ in range(2)]
    assert len(opened) == 2
    assert [[part.reason for part in view.parts] for view in views] == [["", "UpdateLengthDiffers"]] * 2


def test_the_lengths_that_were_known_first_are_forgotten_first(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lengths, "MOST_KNOWN", 2)
    first, *others = map(update, NAMES)
    for task in (first, *others, *others, first):
        view_of(closing(task))
    signed = [task.status.update for task in (first, *others, first)]
    assert opened == [each.manifest for each in signed if each]


def test_the_lengths_of_many_long_manifests_take_little_memory() -> None:
    longest = 16 << 10
    tracemalloc.start()
    for number in range(100):
        manifest = str(number).ljust(longest)
        view_of(closing(sent("site-a", upload=Upload(bytes=HONEST), update=Update(manifest=manifest, samples=10))))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 50 * longest
