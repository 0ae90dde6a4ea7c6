"""Builds the rulings and sentences that several rules of a round share. Decides nothing."""

from collections.abc import Sequence

from wardround.api.federatedround import Attention
from wardround.plans.round.parts import TASK_REFUSED, Part, unfinished
from wardround.plans.round.status import AGGREGATED, COLLECTED
from wardround.plans.round.types import Action, Ruling, StoredModel
from wardround.plans.round.view import View, hospitals, left_out, named
from wardround.reasons.registry import REASONS
from wardround.wire.aggregation import LeftOut


def failed(view: View, reason: str, message: str, attention: tuple[Attention, ...] | None = None) -> Ruling:
    return Ruling(
        course="Failed",
        reason=reason,
        message=message,
        attention=view.attention() if attention is None else attention,
    )


def completed(view: View, model: StoredModel, sentence: str, *actions: Action) -> Ruling:
    """`sentence`: a further one about the result."""
    numbers = tuple(LeftOut(name, "NumberTooLarge") for name in model.result.numbers_too_large)
    others = tuple(each for each in view.attention() if each.participant not in model.aggregated)
    late = tuple(LeftOut(name, "NotSentInTime") for name in unfinished(view.parts, model.aggregated))
    return Ruling(
        course="Complete",
        reason="Complete",
        message=sentences(
            f"The hub combined {model.result.samples} samples of {hospitals(len(model.aggregated))}.",
            withheld(model.result.withheld),
            sentence,
        ),
        actions=actions,
        stages=(COLLECTED, AGGREGATED),
        attention=(*others, *left_out(view, (*model.left_out, *numbers, *late))),
        model=model,
    )


def not_done(view: View, done: Sequence[Part]) -> list[LeftOut]:
    """The hospitals that are not among the parts that are done, each with the reason."""
    late = [
        LeftOut(participant=part.name, reason=part.reason or "NotSentInTime") for part in view.parts if part not in done
    ]
    asked = {part.name for part in view.parts}
    return late + [LeftOut(participant=name, reason=TASK_REFUSED) for name in view.seen.roster if name not in asked]


def list_of(title: str, entries: Sequence[Attention | LeftOut]) -> str:
    """A sentence that names hospitals with their reasons; nothing where there are none."""
    return f"{title}: {named(entries)}." if entries else ""


def withheld(number: int) -> str:
    """Sentences about hospitals that sent no sums; nothing where there are none."""
    if not number:
        return ""
    withhold, site, those = (
        ("withholds its numbers and sends", "its Site", "This hospital has")
        if number == 1
        else ("withhold their numbers and send", "their Sites", "These hospitals have")
    )
    return (
        f"{hospitals(number)} {withhold} no sums, because too few people are in a class (policy.minCell of {site}). "
        f"{those} not failed."
    )


def advice(reason: str) -> str:
    return REASONS[reason].advice


def sentences(*texts: str) -> str:
    """The texts that are not empty, as one text."""
    return " ".join(text for text in texts if text)
