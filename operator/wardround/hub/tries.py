"""What is left of a round's earlier tries to combine its updates, and how many of them failed. Decides nothing.

Each try has a Secret with the round's private key, a Job, and a list of updates in the store.
"""

from contextlib import suppress

from wardround.api import names
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.stored import delete_stored, look_ends
from wardround.plans.round.types import EARLY_NUMBER, Aggregation
from wardround.ports import Objects
from wardround.store.errors import StoreError
from wardround.wire import kept_plan
from wardround.wire.aggregation import AggregationResult


async def delete_before(hub: Context, round_uid: str, latest: int) -> None:
    """Deletes the tries before the latest one. That one stays until another one is made: it says how the round goes on.

    A Job goes last, as the memory of what is left to delete. Raises ApiError.
    """
    if latest <= EARLY_NUMBER + 1:
        return
    labels = f"{names.ROUND_UID}={round_uid},{names.ROLE}={names.ROLE_AGGREGATION}"
    ends = look_ends()
    for job in await hub.client.list("Job", labels=labels):
        number = int(job["metadata"]["labels"][names.ATTEMPT])
        if EARLY_NUMBER < number < latest:
            name = job["metadata"]["name"]
            await hub.client.delete_if_exists("Secret", name)
            with suppress(StoreError):  # the clean-up deletes it
                await delete_stored(hub, names.lists_prefix(round_uid, number), ends)
            await hub.client.delete_if_exists("Job", name)


def state_lost(secrets: Objects, round_uid: str, latest: Aggregation) -> bool:
    """Whether the Job has stored a server state whose keys this version of the hub operator cannot read in the plan."""
    name = names.aggregation_name(round_uid, latest.number)
    secret = next((each for each in secrets if each["metadata"]["name"] == name and each.get("data")), None)
    if secret is None or not isinstance(latest.answer, AggregationResult) or not latest.answer.state:
        return False
    try:
        return not kept_plan.read(vault.value(secret, "plan.json")).has_state(len(latest.answer.state))
    except (KeyError, ValueError):
        return False  # not even the result can be kept, and the action that keeps it says why


def failures(secrets: Objects, round_uid: str, number: int) -> int:
    """How many tries before this one failed, those not counted that the store ended."""
    text = vault.noted(secrets, names.aggregation_name(round_uid, number), names.FAILURES) or ""
    return int(text) if text.isdecimal() else 0
