"""An observation of a round with what its rules need: which hospitals are in, which are missing, until when."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wardround.api.federatedround import Attention, FederatedRound
from wardround.api.nearest import nearest
from wardround.api.participant import Participant
from wardround.api.timeline import reached
from wardround.plans import versions
from wardround.plans.participant import barred, offered, offers, takes_part
from wardround.plans.round.columns import unless_changed
from wardround.plans.round.lengths import at_closing, of_one_length
from wardround.plans.round.parts import SUSPENDED, Part, PartState, parts
from wardround.plans.round.states import states
from wardround.plans.round.status import DISPATCHED, asks_until, begun
from wardround.plans.round.types import Action, Cancel, Observation
from wardround.plans.round.upload import largest_upload
from wardround.reasons.registry import REASONS, advise, meant
from wardround.wire.aggregation import LeftOut
from wardround.wire.compression import NONE

NAMED = 8  # in one message; all stand in status.attention


@dataclass(frozen=True)
class View:
    """An observation with what several rules need. `states`: by participant, as `plans.round.states` says. `unasked`:
    participants that the round asks and whose RoundTask the API server has not taken yet. `absent`: participants that
    the round selects, but has not asked. A further round may ask them."""

    seen: Observation
    parts: tuple[Part, ...]
    selected: tuple[str, ...]
    start: datetime
    states: Mapping[str, str]
    unasked: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def round(self) -> FederatedRound:
        return self.seen.round

    @property
    def deadline(self) -> datetime:
        return self.start + timedelta(seconds=self.round.spec.deadlines.total_seconds)

    @property
    def dispatched(self) -> bool:
        return reached(self.round.status.timeline, DISPATCHED) is not None

    def having(self, *states: PartState) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.state in states)

    def attention(self) -> tuple[Attention, ...]:
        """One entry for each part that needs a person, and for each participant that was left out when the others were
        asked."""
        asked = {part.name for part in self.parts}
        left_out = tuple(
            each for each in self.round.status.attention if self.dispatched and each.participant not in asked
        )
        entries = (part.attention(self.round, guess(self, part.reason, part.name)) for part in self.parts)
        return (*left_out, *(each for each in entries if each is not None))

    def cancel_lost(self) -> tuple[Action, ...]:
        """Stops tasks that were given up, under their own reason."""
        lost = (part for part in self.having(PartState.LOST) if part.to_cancel)
        return tuple(Cancel(task=part.task, reason=part.reason) for part in lost)

    def call_back(self) -> tuple[Action, ...]:
        """Stops tasks that still run while the round is suspended. The hub asks these hospitals again afterwards."""
        return tuple(Cancel(task=part.task, reason=SUSPENDED) for part in self.parts if part.open)

    def cancel(self, reason: str) -> tuple[Action, ...]:
        """Stops tasks that still run, and tasks that were given up, the latter under their own reason.

        A task that is too late is stopped under the reason that it waited for.
        """

        def reason_of(part: Part) -> str:
            late = reason == "NotSentInTime" and bool(part.reason)
            return part.reason if late or not part.open else reason

        return tuple(Cancel(task=part.task, reason=reason_of(part)) for part in self.parts if part.to_cancel)


def view_of(seen: Observation) -> View:
    every = parts(seen.round, seen.tasks, seen.participants, seen.now, largest_upload(seen.round, seen.base_model))
    current = of_one_length(seen, tuple(_unless_no_common_version(seen, unless_changed(seen, part)) for part in every))
    asked = tuple(part.name for part in current)
    dispatched = reached(seen.round.status.timeline, DISPATCHED) is not None
    unasked = _unasked(seen, asked) if dispatched and seen.now < asks_until(seen) else ()
    wanted = _selected(seen)
    absent = tuple(name for name in wanted if dispatched and name not in asked)
    return View(seen, current, asked if dispatched else wanted, begun(seen), states(seen), unasked, absent)


def closed(view: View) -> View:
    """The view of a round that waits for no further update."""
    return replace(view, parts=at_closing(view.seen, view.parts))


def _unasked(seen: Observation, asked: Collection[str]) -> tuple[str, ...]:
    federation = seen.round.metadata.namespace
    return tuple(
        name
        for name in seen.roster
        if name not in asked
        and barred(seen.participants.get(name), federation) is None
        and _too_old(seen, seen.participants[name]) is None
    )


def _unless_no_common_version(seen: Observation, part: Part) -> Part:
    """A further attempt needs an assignment that hub and site both know."""
    participant = seen.participants.get(part.name)
    if part.state is not PartState.AGAIN or participant is None:
        return part
    reason = _too_old(seen, participant)
    return replace(part, state=PartState.LOST, reason=reason, failure_class="Site") if reason else part


def _selected(seen: Observation) -> tuple[str, ...]:
    wanted = seen.round.spec.participants
    if wanted.names is not None:
        return tuple(sorted(wanted.names))
    labels = wanted.selector.match_labels.items() if wanted.selector else {}.items()
    federation = seen.round.metadata.namespace
    # Only participants of this federation: its authors must not learn of others.
    return tuple(
        sorted(
            name
            for name, each in seen.participants.items()
            if labels <= each.metadata.labels.items() and takes_part(each, federation)
        )
    )


def shortfall(view: View, names: Collection[str], predicate: str = "can take part") -> str:
    """A sentence that says what these hospitals lack to be a quorum; empty if they are one. `predicate`: what one or
    many of them do."""
    quorum = view.round.spec.quorum
    absent = [name for name in quorum.required if name not in names]
    if absent:
        return f"{absent[0]} is missing, and quorum.required of the round names this hospital."
    if len(names) < quorum.min:
        return f"{hospitals(len(names))} {predicate}, but quorum.min is {quorum.min}."
    return ""


def selected(view: View) -> str:
    """A sentence that says how many hospitals the round's selector finds; empty if the round has names instead."""
    wanted = view.round.spec.participants.selector
    if wanted is None:
        return ""
    labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.match_labels.items()))
    number = hospitals(len(view.selected))
    federation = view.round.metadata.namespace
    return f"participants.selector ({labels}) matches {number} that federation {federation} may ask."


def hospitals(number: int) -> str:
    return f"{number} hospital{'' if number == 1 else 's'}"


def grace(view: View, sent: tuple[Part, ...]) -> list[datetime]:
    """When the hub stops waiting for the other hospitals, if a quorum has sent."""
    quorum = view.round.spec.quorum
    if shortfall(view, [part.name for part in sent]):
        return []
    times = sorted(part.sent_at for part in sent if part.sent_at)
    needed = [part.sent_at for part in sent if part.sent_at and part.name in quorum.required]
    if len(times) < quorum.min:
        return []
    # After a suspension, the hub first asks again whom it had called back.
    return [max([view.start, times[quorum.min - 1], *needed]) + timedelta(seconds=quorum.grace_seconds)]


def unfit(view: View, name: str) -> str | None:
    participant = view.seen.participants.get(name)
    reason = barred(participant, view.round.metadata.namespace)
    if reason is not None or participant is None:
        return reason
    if not offers(participant, view.round.spec.dataset_name):
        return "DatasetNotFound"
    return _too_old(view.seen, participant)


def _too_old(seen: Observation, participant: Participant) -> str | None:
    model = seen.base_model
    return versions.too_old_for(participant, seen.round, (model and model.result.compression) or NONE)


def nowhere_offered(view: View, barred: Mapping[str, str]) -> str:
    """A text for a round whose Dataset no participant offers: the round's author has to check its name. Empty if a
    participant may offer it. `barred`: by participant, why it cannot be asked. Datasets may belong to other
    federations, so the text names one only if the author has nearly written its name."""
    known = [each for name in view.selected if (each := view.seen.participants.get(name)) is not None]
    ours = [each for each in known if barred.get(each.metadata.name) != "FederationNotAllowed"]
    lack = [each for each in ours if barred.get(each.metadata.name) == "DatasetNotFound"]
    dataset = view.round.spec.dataset_name
    if not lack or any(offers(each, dataset) for each in ours):
        return ""
    unknown = REASONS["DatasetUnknown"].about(dataset=dataset)
    near = nearest(dataset, {name for each in lack for name in offered(each)})
    return f"{unknown.meaning}{meant(near)} {unknown.advice}"


def guess(view: View, reason: str, name: str) -> str:
    """The name that the round's author probably meant, or nothing. Names may belong to other federations, so one is
    given only if the author has nearly written it."""
    if reason == "ParticipantUnknown":
        here = view.round.metadata.namespace
        known = {other for other, each in view.seen.participants.items() if takes_part(each, here)}
        return nearest(name, known - set(view.selected))
    participant = view.seen.participants.get(name)
    if reason in ("DatasetNotFound", "DatasetNotAllowed") and participant is not None:
        return nearest(view.round.spec.dataset_name, offered(participant))
    return ""


def named(entries: Sequence[Attention | LeftOut]) -> str:
    """Each hospital with its reason, as many as a message has room for."""
    return first([f"{each.participant} ({each.reason})" for each in entries])


def first(texts: Sequence[str]) -> str:
    """The first names, as many as fit into a message."""
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def left_out(view: View, entries: tuple[LeftOut, ...]) -> tuple[Attention, ...]:
    return tuple(
        Attention(participant=each.participant, reason=each.reason, message=tell(view, each.reason, each.participant))
        for each in entries
    )


def tell(view: View, reason: str, name: str) -> str:
    """A message about one hospital that is left out, or whose number is. It names the hospital's task, if any."""
    federation, dataset = view.round.metadata.namespace, view.round.spec.dataset_name
    task = next((part.task.metadata.name for part in view.parts if part.name == name), "")
    return advise(reason, name, federation=federation, dataset=dataset, task=task, guess=guess(view, reason, name))
