"""Which hospitals a round asks, and what happens when somebody suspends the round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.plans_hub.builders import (
    ASSIGNED,
    NAMES,
    accepted,
    at,
    collecting,
    condition,
    dispatched,
    federated_round,
    meaning,
    observation,
    participant,
    revoked,
    sent,
    stages,
    task,
)
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, message_of, of_type
from wardround.api.meta import OwnerReference
from wardround.api.names import CANCELLED
from wardround.api.participant import OfferedDataset, Participant
from wardround.api.participant import ParticipantStatus as Status
from wardround.api.times import to_seconds
from wardround.plans.round.candidates import assess
from wardround.plans.round.plan import plan
from wardround.plans.round.status import interrupted
from wardround.plans.round.types import (
    Cancel,
    Dispatch,
    Interruption,
    MakeRoundKey,
)
from wardround.plans.round.view import view_of
from wardround.reasons.registry import REASONS

# Who is asked

SAME = ASSIGNED.digest


def test_all_approved_participants_are_asked_at_once_after_the_key_is_made() -> None:
    made = plan(observation())
    assert isinstance(made.actions[0], MakeRoundKey)
    dispatches = of_type(made, Dispatch)
    assert [(each.participant, each.attempt, each.roster) for each in dispatches] == [
        (name, 1, NAMES) for name in NAMES
    ]
    assert [each.stage for each in made.status.timeline] == ["Started", "Dispatched"]
    assert condition_of(made, "Reconciling") == ("True", "Dispatched")
    assert counts(made).selected == 3


def test_a_round_whose_tasks_the_api_server_does_not_take_fails_at_its_deadline() -> None:
    """A proxy before the API server may answer in its place. The hub tries again, until the deadline of the round."""
    seen = observation()
    refused = Interruption(doing="make the RoundTask of site-a, attempt 1", cause="403")
    left = interrupted(seen, plan(seen).status, refused)
    tried = replace(seen, round=replace(seen.round, status=left))
    assert [each.stage for each in left.timeline] == ["Started"]
    assert of_type(plan(replace(tried, now=at(3599))), Dispatch)
    late = plan(replace(tried, now=at(3600)))
    assert condition_of(late, "Failed") == ("True", "NotDispatched")
    assert not late.actions


def test_an_assignment_outlives_the_deadline_so_that_the_last_update_still_counts() -> None:
    dispatches = of_type(plan(observation()), Dispatch)
    assert dispatches[0].expires == at(3600 + 3600)


def test_after_a_crash_between_dispatches_only_the_missing_are_asked() -> None:
    made = plan(observation(tasks=(task("site-a"),)))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-b", "site-c"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"key_fingerprint": None}, "ParticipantNotApproved"),
        ({"key_fingerprint": "sha256:" + "0" * 64}, "FingerprintMismatch"),
        ({"allowed_federations": ()}, "FederationNotAllowed"),
    ],
)
def test_a_named_participant_who_may_not_take_part_is_waited_for_and_the_round_says_why(
    changed: dict[str, Any], reason: str
) -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-b": participant("site-b", **changed)}
    made = plan(observation(participants=participants))
    assert made.actions == ()
    assert condition_of(made, "Stalled") == ("True", reason)
    assert attention_of(made) == {"site-b": reason}
    assert made.requeue_after == 600


def test_an_unknown_participant_stalls_the_round() -> None:
    made = plan(observation(participants={name: participant(name) for name in NAMES[:2]}))
    assert condition_of(made, "Stalled") == ("True", "ParticipantUnknown")


@pytest.mark.parametrize(
    ("least", "known", "then"),
    [(2, 2, "continues with 2 of 3 hospitals."), (3, 2, "fails."), (1, 1, "continues with 1 of")],
)
def test_a_stalled_round_says_until_when_it_waits_and_what_it_does_then(least: int, known: int, then: str) -> None:
    participants = {name: participant(name) for name in NAMES[:known]}
    made = plan(observation(federated_round(quorum={"min": least}), participants=participants))
    message = message_of(made, "Stalled")
    assert message.startswith(f"{NAMES[known]}: The hub has no Participant {NAMES[known]}.")
    assert f" The round waits until {to_seconds(at(600))}, and then {then}" in message


def test_a_round_that_waits_for_one_hospital_does_not_speak_of_another_that_it_leaves_out() -> None:
    participants = {"site-a": participant("site-a", suspend=True), "site-b": participant("site-b")}
    made = plan(observation(federated_round(quorum={"min": 1}), participants=participants))
    assert condition_of(made, "Stalled") == ("True", "ParticipantUnknown")
    assert message_of(made, "Stalled").startswith("site-c: ")


def test_a_participant_without_keys_stalls_the_round() -> None:
    bare = participant("site-b")
    bare = replace(bare, status=replace(bare.status, site=None))
    participants = {name: participant(name) for name in NAMES} | {"site-b": bare}
    assert condition_of(plan(observation(participants=participants)), "Stalled")[1] == "ParticipantNoKeys"


def offering(name: str, *datasets: str, **spec: Any) -> Participant:
    item = participant(name, **spec)
    assert item.status.site is not None
    offers = tuple(OfferedDataset(name=each) for each in datasets)
    return replace(item, status=replace(item.status, site=replace(item.status.site, datasets=offers)))


STATISTICS = {"task": "Statistics", "initial": None, "image": None}
AFTER_STATISTICS = {"initial": {"statisticsRoundName": "statistics"}}
AFTER_TRAINING = {"initial": None, "base": {"roundName": "train-0"}}


@pytest.mark.parametrize(
    ("spec", "of_model", "awaited"),
    [
        (STATISTICS, True, ("site-a", "site-b", "site-c")),
        (AFTER_STATISTICS, True, ("site-a",)),
        (AFTER_TRAINING, True, ("site-a",)),
        (AFTER_STATISTICS, False, ("site-a", "site-b", "site-c")),
        (AFTER_TRAINING, False, ("site-a", "site-b", "site-c")),
    ],
    ids=["first of a model", "second of a model", "third of a model", "second of a person", "third of a person"],
)
def test_a_series_waits_once_for_hospitals_that_the_hub_does_not_know(
    spec: dict[str, Any], of_model: bool, awaited: tuple[str, ...]
) -> None:
    """A misspelt name would else cost the admission time in each of its rounds."""
    current = federated_round(participants={"names": [*NAMES, "site-d"]}, quorum={"min": 1}, **spec)
    model = OwnerReference(
        api_version="wardround.io/v1alpha1", kind="FederatedModel", name="m", uid="u", controller=True
    )
    if of_model:
        current = replace(current, metadata=replace(current.metadata, owner_references=(model,)))
    known = {"site-a": participant("site-a", key_fingerprint=None), "site-b": offering("site-b", "lung")}
    seen = observation(current, participants=known | {"site-d": participant("site-d")})
    candidates = assess(view_of(seen))
    assert (candidates.awaited, candidates.fit) == (awaited, ("site-d",))
    assert {each.participant for each in candidates.attention} == {"site-a", "site-b", "site-c"}


def test_a_dataset_that_a_site_does_not_offer_stalls_the_round() -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-b": offering("site-b", "lung")}
    made = plan(observation(participants=participants))
    assert condition_of(made, "Stalled") == ("True", "DatasetNotFound")
    assert attention_of(made) == {"site-b": "DatasetNotFound"}


@pytest.mark.parametrize(
    ("digests", "left_out"),
    [
        ((SAME, SAME, SAME), {}),
        (("sha256:2", SAME, SAME), {"site-a": "DatasetDiffers"}),
        ((SAME, "sha256:2", ""), {"site-b": "DatasetDiffers"}),
        (("", SAME, ""), {}),
    ],
    ids=["equal", "the one of three", "one of two", "of older sites nothing is known"],
)
def test_a_hospital_that_means_other_columns_stalls_the_round(
    digests: tuple[str, ...], left_out: dict[str, str]
) -> None:
    """Sums are added up by position: fields in another order would be mixed without a word."""
    participants = {name: meaning(name, digest) for name, digest in zip(NAMES, digests, strict=True)}
    made = plan(observation(participants=participants))
    assert attention_of(made) == left_out
    assert bool(of_type(made, Dispatch)) == (not left_out)
    if left_out:
        assert condition_of(made, "Stalled") == ("True", "DatasetDiffers")


@pytest.mark.parametrize(("seconds", "kind"), [(0, "Stalled"), (600, "Failed")])
def test_a_dataset_that_nobody_offers_is_for_the_rounds_author_to_check(seconds: float, kind: str) -> None:
    """Most likely it is misspelt. No hospital is told of it, and what they offer is named, the most common first."""
    started = federated_round(datasetName="braest")
    started = replace(started, status=replace(started.status, timeline=stages("Started")))
    participants = {
        "site-a": offering("site-a", "asthma", "breast"),
        "site-b": offering("site-b", "breast"),
        "site-c": offering("site-c"),
    }
    made = plan(observation(started, participants=participants, now=at(seconds)))
    assert condition_of(made, kind) == ("True", "DatasetUnknown")
    assert message_of(made, kind).startswith(
        "No hospital of the round offers a Dataset braest. Was breast meant? The round's author: Ask "
    )
    assert ("The round waits until" in message_of(made, kind)) == (kind == "Stalled")
    assert attention_of(made) == {}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (offering("site-b", "lung", suspend=True), "DatasetNotFound"),
        (replace(participant("site-b"), status=Status()), "DatasetNotFound"),
        (offering("site-b", "breast", key_fingerprint=None), "DatasetUnknown"),
        (offering("site-b", "lung", allowed_federations=()), "DatasetUnknown"),
        (offering("site-b", "secret", allowed_federations=()), "DatasetUnknown"),
    ],
    ids=["suspended", "not heard of", "not approved", "of another federation", "of another federation alone"],
)
def test_a_dataset_that_one_may_offer_who_cannot_take_part_is_not_taken_for_misspelt(
    other: Participant, reason: str
) -> None:
    current = federated_round(datasetName="lung", participants={"names": ["site-a", "site-b"]})
    made = plan(observation(current, participants={"site-a": participant("site-a"), "site-b": other}))
    assert condition_of(made, "Stalled") == ("True", reason)
    assert "secret" not in message_of(made, "Stalled")


def test_a_hospital_that_is_nearly_one_of_the_federation_is_guessed_and_no_other() -> None:
    current = federated_round(participants={"names": ["siet-a", "hospital"]}, quorum={"min": 1})
    participants = {
        "site-a": participant("site-a"),
        "hospitals": participant("hospitals", allowed_federations=()),
    }
    made = plan(observation(current, participants=participants))
    messages = {each.participant: each.message for each in made.status.attention}
    assert "The hub has no Participant siet-a. Was site-a meant? The round's author:" in messages["siet-a"]
    assert "meant" not in messages["hospital"]


def test_a_dataset_that_a_hospital_offers_under_nearly_that_name_is_guessed() -> None:
    current = federated_round(datasetName="braest", participants={"names": ["site-a", "site-b"]}, quorum={"min": 1})
    participants = {"site-a": offering("site-a", "braest"), "site-b": offering("site-b", "breast", "asthma")}
    [left_out] = plan(observation(current, participants=participants)).status.attention
    assert "The hospital offers no Dataset with the name braest. Was breast meant?" in left_out.message
    assert "asthma" not in left_out.message


def test_only_an_author_who_has_nearly_written_a_name_reads_this_name() -> None:
    current = federated_round(datasetName="breast", participants={"names": ["site-a"]}, quorum={"min": 1})
    made = plan(observation(current, participants={"site-a": offering("site-a", "asthma", "breast-of-others")}))
    message = message_of(made, "Stalled")
    assert "offers a Dataset breast. The round's author: Ask" in message
    assert "asthma" not in message
    assert "others" not in message


def test_a_round_that_waits_for_several_hospitals_names_them_all() -> None:
    made = plan(observation(federated_round(quorum={"min": 3}), participants={"site-a": participant("site-a")}))
    assert message_of(made, "Stalled").startswith("site-b: The hub has no Participant site-b.")
    assert " The round also waits for site-c (ParticipantUnknown). The round waits until" in message_of(made, "Stalled")


def test_the_hub_asks_a_site_that_has_published_no_datasets() -> None:
    silent = participant("site-b")
    assert silent.status.site is not None
    silent = replace(silent, status=replace(silent.status, site=replace(silent.status.site, datasets=None)))
    participants = {name: participant(name) for name in NAMES} | {"site-b": silent}
    assert len(of_type(plan(observation(participants=participants)), Dispatch)) == 3


@pytest.mark.parametrize(
    ("out", "reason"),
    [(participant("site-b", suspend=True), "ParticipantSuspended"), (revoked("site-b"), "ParticipantRevoked")],
)
def test_a_hospital_that_the_hub_has_shut_out_is_left_out_without_waiting(out: Participant, reason: str) -> None:
    participants = {name: participant(name) for name in NAMES} | {"site-b": out}
    made = plan(observation(participants=participants))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-c"]
    assert attention_of(made) == {"site-b": reason}


def test_after_the_admission_deadline_a_quorum_goes_on_without_the_unfit() -> None:
    started = federated_round()
    started = replace(started, status=replace(started.status, timeline=stages("Started")))
    participants = {name: participant(name) for name in NAMES[:2]}
    made = plan(observation(started, participants=participants, now=at(600)))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-b"]


def test_after_the_admission_deadline_too_few_fail_the_round_for_the_common_reason() -> None:
    started = federated_round()
    started = replace(started, status=replace(started.status, timeline=stages("Started")))
    participants = {"site-a": participant("site-a")} | {
        name: participant(name, key_fingerprint=None) for name in NAMES[1:]
    }
    made = plan(observation(started, participants=participants, now=at(601)))
    assert condition_of(made, "Failed") == ("True", "ParticipantNotApproved")
    both = "Left out: site-b (ParticipantNotApproved), site-c (ParticipantNotApproved)."
    assert message_of(made, "Failed").startswith(f"1 hospital can take part, but quorum.min is 2. {both} site-b: ")


@pytest.mark.parametrize("quorum", [{"min": 4}, {"min": 2, "required": ["site-z"]}])
def test_a_quorum_that_can_never_be_met_fails_at_once(quorum: dict[str, Any]) -> None:
    made = plan(observation(federated_round(quorum=quorum)))
    assert condition_of(made, "Failed") == ("True", "QuorumImpossible")
    assert of_type(made, Dispatch) == []


def test_a_selector_takes_who_is_fit_and_does_not_wait_for_the_others() -> None:
    selecting = federated_round(participants={"selector": {"matchLabels": {"country": "de"}}})
    participants = {name: participant(name) for name in NAMES} | {"site-b": participant("site-b", key_fingerprint=None)}
    made = plan(observation(selecting, participants=participants))
    assert [each.participant for each in of_type(made, Dispatch)] == ["site-a", "site-c"]


def test_a_selector_names_no_hospital_of_other_federations() -> None:
    """Else a user who may make rounds would read in status.attention which hospitals other federations have."""
    selecting = federated_round(participants={"selector": {"matchLabels": {"country": "de"}}})
    stranger = participant("site-b", allowed_federations=())
    participants = {name: participant(name) for name in NAMES} | {"site-b": stranger}
    made = plan(observation(selecting, participants=participants))
    assert "site-b" not in attention_of(made)
    assert counts(made).selected == 2


def test_a_selector_that_finds_nobody_is_what_the_round_waits_and_fails_for() -> None:
    selecting = federated_round(participants={"selector": {"matchLabels": {"country": "fr"}}})
    waits = plan(observation(selecting))
    ended = plan(observation(replace(selecting, status=waits.status), now=at(601)))
    message = "participants.selector (country=fr) matches 0 hospitals that federation breast-cancer may ask."
    for made, kind in ((waits, "Stalled"), (ended, "Failed")):
        assert condition_of(made, kind) == ("True", "TooFewParticipants")
        assert message_of(made, kind).startswith(f"0 hospitals can take part, but quorum.min is 2. {message}")
        # So nobody is to be sent there.
        assert attention_of(made) == {}
    assert "status.attention" not in REASONS["TooFewParticipants"].action


# Suspension


def test_a_suspended_round_asks_nobody() -> None:
    made = plan(observation(federated_round(suspend=True)))
    assert (made.actions, condition_of(made, "Suspended")) == ((), ("True", "Suspended"))
    assert message_of(made, "Suspended").endswith("asks no hospital and combines no updates.")


def test_suspending_calls_back_what_is_on_its_way_and_keeps_what_was_sent() -> None:
    made = plan(collecting(sent("site-a"), accepted("site-b"), spec={"suspend": True}))
    assert [(each.task.metadata.namespace, each.reason) for each in of_type(made, Cancel)] == [("site-b", "Suspended")]


def test_the_first_look_after_a_long_suspension_finds_no_deadline_that_is_over() -> None:
    """The condition still says that the round is suspended."""
    called_back = task("site-b", cancel=True, annotations={CANCELLED: "Suspended"})
    held = dispatched(federated_round(), (condition("Suspended", True, "Suspended", 500),))
    made = plan(observation(held, tasks=(sent("site-a"), called_back), now=at(90000)))
    assert [(each.participant, each.attempt) for each in of_type(made, Dispatch)] == [("site-b", 2)]
    assert of_type(made, Dispatch)[0].expires == at(90000 + 7200)


def test_after_a_suspension_the_called_back_are_asked_anew_and_deadlines_start_anew() -> None:
    called_back = task("site-b", cancel=True, annotations={CANCELLED: "Suspended"})
    resumed = dispatched(federated_round(), (condition("Suspended", False, "Resumed", 5000),))
    made = plan(observation(resumed, tasks=(sent("site-a"), sent("site-c", 5000), called_back), now=at(5001)))
    assert [(each.participant, each.attempt) for each in of_type(made, Dispatch)] == [("site-b", 2)]
    assert of_type(made, Dispatch)[0].expires == at(5000 + 7200)
