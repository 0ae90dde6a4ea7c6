"""Looks at a round: the plan, the observation that it rests on, and what the API server has confirmed of both.

Memory can be behind. Without a confirmation, a hospital that was suspended a moment ago could still be asked, and an
update that arrived a moment ago could be left out.
"""

import asyncio
from dataclasses import dataclass, replace

from wardround.api.federatedround import FederatedRound
from wardround.api.roundtask import RoundTask
from wardround.api.timeline import reached
from wardround.documents.keys import Model
from wardround.hub.context import Context
from wardround.hub.made import Made, read_made, search
from wardround.hub.observe import identified, observe, observe_over
from wardround.kube.index import NamespacedName
from wardround.plans.round import plan as round_plan
from wardround.plans.round.confirmation import Confirmation, confirmation
from wardround.plans.round.status import DISPATCHED, STARTED, is_cleaned_up, is_over
from wardround.plans.round.types import Observation, Plan


@dataclass(frozen=True)
class Look:
    """A plan, what it rests on, and the models for its actions: the base and the references."""

    plan: Plan
    seen: Observation
    made: Made
    base: Model | None = None
    references: tuple[Model, ...] = ()


async def look(hub: Context, federated_round: FederatedRound) -> Look:
    """Plans until the API server has confirmed the Participants and the tasks that the plan rests on."""
    if is_over(federated_round):
        return await _look_after_the_end(hub, federated_round)
    made = await read_made(hub.client, federated_round.metadata.uid)
    tasks, fresh = await _first_tasks(hub, federated_round, made)
    made = await _with_lost(hub, federated_round, tasks, made)
    seen, base, references = await observe(hub, federated_round, tasks, made)
    done = Confirmation(all_tasks=fresh)
    while True:
        plan = round_plan.plan(seen)
        missing = confirmation(seen, plan).beyond(done)
        if missing == Confirmation():
            return Look(plan, seen, made, base, references)
        done = done.joined(missing)
        await _confirm_participants(hub, missing)
        confirmed = await _confirmed_tasks(hub, federated_round, missing)
        participants = identified((await hub.participants.objects()).values())
        if confirmed is not None and confirmed != seen.tasks:
            seen, base, references = await observe(hub, federated_round, confirmed, made)
        elif participants != seen.participants:
            seen = replace(seen, participants=participants)
        else:
            return Look(plan, seen, made, base, references)


async def _first_tasks(hub: Context, federated_round: FederatedRound, made: Made) -> tuple[tuple[RoundTask, ...], bool]:
    """The round's tasks, and whether they are as the API server has them now. A round that has neither a key nor a
    beginning has asked nobody: the hub operator makes the key first."""
    meta = federated_round.metadata
    known = hub.tasks.known(meta)
    if made.key is None and reached(federated_round.status.timeline, STARTED) is None:
        return (hub.tasks.begin(meta) if known is None else known), not known
    return (await hub.tasks.follow(meta), True) if known is None else (known, False)


async def _look_after_the_end(hub: Context, federated_round: FederatedRound) -> Look:
    """Once the round is cleaned up, nothing of it is read. After the first clean-up, the Secret of the round's key says
    until when sites can store objects, and no task is left to cancel. Before, the tasks are those that the API server
    has confirmed for the plan that ended the round. Nobody is asked any more, so no Participant has to be confirmed.

    If there is no such Secret, the last clean-up has deleted it and could not note that in the round's status, or
    somebody else has deleted it. So all is cleaned up once more."""
    meta = federated_round.metadata
    made, tasks = await _left(hub, federated_round)
    hub.tasks.end(meta)
    seen = await observe_over(hub, federated_round, tasks, made)
    return Look(round_plan.plan(seen), seen, made)


async def _left(hub: Context, federated_round: FederatedRound) -> tuple[Made, tuple[RoundTask, ...]]:
    """What is left of a round that is over, and its tasks unless no site works on them any more."""
    meta = federated_round.metadata
    if is_cleaned_up(federated_round.status):
        return Made(), ()
    made = await read_made(hub.client, meta.uid)
    if made.cleaned_up:
        return made, ()
    known = hub.tasks.known(meta)
    tasks = await hub.tasks.read(meta) if known is None else known
    return await _with_lost(hub, federated_round, tasks, made), tasks


async def _with_lost(hub: Context, federated_round: FederatedRound, tasks: tuple[RoundTask, ...], made: Made) -> Made:
    """What there is for a round. A round that has asked hospitals has a key, unless somebody has deleted it."""
    if made.key is None and (tasks or reached(federated_round.status.timeline, DISPATCHED)):
        return await search(hub.client, federated_round.metadata.uid)
    return made


async def _confirm_participants(hub: Context, missing: Confirmation) -> None:
    index = hub.participants
    if missing.labels:
        await index.refresh_selected(missing.labels)
    await asyncio.gather(*(index.refresh(NamespacedName(name, name)) for name in sorted(missing.names)))


async def _confirmed_tasks(
    hub: Context, federated_round: FederatedRound, missing: Confirmation
) -> tuple[RoundTask, ...] | None:
    """The round's tasks; None if no task is missing."""
    meta = federated_round.metadata
    if missing.all_tasks:
        return await hub.tasks.follow(meta)
    if not missing.tasks:
        return None
    await asyncio.gather(*(hub.tasks.refresh(meta, NamespacedName(*place)) for place in sorted(missing.tasks)))
    known = hub.tasks.known(meta)
    return await hub.tasks.follow(meta) if known is None else known
