"""What is left of a round's earlier tries to combine its updates, and how many of them failed. Decides nothing.

Each try has a Secret with the round's private key, a Job, and a list of updates in the store.
"""

from collections.abc import Iterable
from contextlib import suppress

from wardround.api import names
from wardround.api.times import read_time, to_seconds
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.made import Made
from wardround.hub.stored import delete_stored, look_ends
from wardround.plans.round.types import EARLY_NUMBER, Aggregation
from wardround.ports import Object
from wardround.store.errors import StoreError
from wardround.wire import kept_plan
from wardround.wire.aggregation import AggregationResult


async def delete_before(hub: Context, round_uid: str, numbers: Iterable[int], latest: int) -> None:
    """Deletes the tries before the latest one. That one stays until another one is made: it says how the round goes on.
    `numbers`: those that may be left. Raises ApiError."""
    ends = look_ends()
    for number in numbers:
        if EARLY_NUMBER < number < latest:
            name = names.aggregation_name(round_uid, number)
            await hub.client.delete_if_exists("Secret", name)
            with suppress(StoreError):  # the clean-up deletes it
                await delete_stored(hub, names.lists_prefix(round_uid, number), ends)
            await hub.client.delete_if_exists("Job", name)


def state_lost(secret: Object | None, latest: Aggregation) -> bool:
    """Whether the Job has stored a server state whose keys this version of the hub operator cannot read in the plan.
    `secret`: of the latest aggregation."""
    if secret is None or not isinstance(latest.answer, AggregationResult) or not latest.answer.state:
        return False
    try:
        return not kept_plan.read(vault.value(secret, "plan.json")).has_state(len(latest.answer.state))
    except (KeyError, ValueError):
        return False  # not even the result can be kept, and the action that keeps it says why


async def note_made(hub: Context, round_uid: str, number: int) -> None:
    """Notes that a try has a Job. Raises ApiError."""
    notes = {names.MADE: to_seconds(hub.clock())}
    await hub.client.patch("Secret", names.aggregation_name(round_uid, number), {"metadata": {"annotations": notes}})


def deleted(made: Made, number: int) -> Aggregation | None:
    """The try of this number, if it had a Job that is not there any more: people delete Jobs, and Kubernetes deletes
    them a day after their end."""
    if number in made.jobs or number not in made.plans:
        return None
    since = read_time(vault.noted(made.plans[number], names.MADE))
    return Aggregation(number=number, over=True, disrupted=True, made=since) if since else None


def given(secret: Object | None) -> frozenset[str] | None:
    """The attempts whose updates a try combines; None if nothing says which, as of a try of an older hub operator.
    `secret`: of the try."""
    text = vault.noted(secret, names.GIVEN) if secret is not None else ""
    return frozenset(text.split()) or None


def earlier(secret: Object | None) -> frozenset[str]:
    """The other attempts that tries before it were given. `secret`: of the try."""
    return frozenset(vault.noted(secret, names.GIVEN_EARLIER).split()) if secret is not None else frozenset()


def failures(secret: Object | None) -> int:
    """How many tries before the one of this Secret failed, those not counted that the store ended."""
    text = vault.noted(secret, names.FAILURES) if secret is not None else ""
    return int(text) if text.isdecimal() else 0
