"""Looks at a round: the plan, the observation that it rests on, and what the API server has confirmed of both.

Memory can be behind. Without a confirmation, a hospital that was suspended a moment ago could still be asked, and an
update that arrived a moment ago could be left out.
"""

import asyncio
from dataclasses import dataclass, replace

from wardround.api.federatedround import FederatedRound
from wardround.api.roundtask import RoundTask
from wardround.documents.keys import Model
from wardround.hub.context import Context
from wardround.hub.observe import identified, observe
from wardround.kube.index import NamespacedName
from wardround.plans.round import plan as round_plan
from wardround.plans.round.confirmation import Confirmation, confirmation
from wardround.plans.round.status import is_over
from wardround.plans.round.types import Observation, Plan


@dataclass(frozen=True)
class Look:
    """A plan, what it rests on, and the models for its actions: the base and the references."""

    plan: Plan
    seen: Observation
    base: Model | None
    references: tuple[Model, ...]


async def look(hub: Context, federated_round: FederatedRound) -> Look:
    """Plans until the API server has confirmed the Participants and the tasks that the plan rests on."""
    tasks, fresh = await _first_tasks(hub, federated_round)
    seen, base, references = await observe(hub, federated_round, tasks)
    done = Confirmation(all_tasks=fresh)
    while True:
        plan = round_plan.plan(seen)
        missing = confirmation(seen, plan).beyond(done)
        if missing == Confirmation():
            return Look(plan, seen, base, references)
        done = done.joined(missing)
        await _confirm_participants(hub, missing)
        confirmed = await _confirmed_tasks(hub, federated_round, missing)
        participants = identified((await hub.participants.objects()).values())
        if confirmed is not None and confirmed != seen.tasks:
            seen, base, references = await observe(hub, federated_round, confirmed)
        elif participants != seen.participants:
            seen = replace(seen, participants=participants)
        else:
            return Look(plan, seen, base, references)


async def _first_tasks(hub: Context, federated_round: FederatedRound) -> tuple[tuple[RoundTask, ...], bool]:
    """The round's tasks, and whether the API server has just listed them. Nothing is kept of a round that is over."""
    meta = federated_round.metadata
    if is_over(federated_round):
        hub.tasks.forget(NamespacedName(meta.namespace, meta.name))
        return await hub.tasks.read(meta), True
    known = hub.tasks.known(meta)
    return (await hub.tasks.follow(meta), True) if known is None else (known, False)


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
