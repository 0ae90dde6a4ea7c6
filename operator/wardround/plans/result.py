"""Decides how long a round's result stays, and which rounds may start from it. Pure.

A result outlives the round that made it as long as a round that was there before is not over and starts from it.
"""

from dataclasses import dataclass

from wardround.api.federatedround import FederatedRound, source_names
from wardround.plans.round.status import is_over


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A round that is not over and names the result's round as its base or as a reference. `started_from`: UID of the
    round whose result it uses under that name, or nothing as long as it has asked no hospital."""

    uid: str
    started_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A result whose round may be gone. `kept_for`: UIDs of the rounds that may start from it, as noted when its round
    was first seen to be gone; None before that."""

    round_uid: str
    round_exists: bool
    kept_for: frozenset[str] | None
    followers: tuple[Follower, ...] = ()


@dataclass(frozen=True)
class Keep:
    """The result stays. `note`: UIDs of the rounds that may start from it from now on; None if none are to be noted."""

    note: frozenset[str] | None = None


@dataclass(frozen=True)
class Forget:
    """Delete the key at once, then the bytes in the store, then the memory of it."""


def plan(seen: Observation) -> Keep | Forget:
    """What becomes of a result."""
    if seen.round_exists:
        return Keep()
    needed_by = frozenset(each.uid for each in seen.followers if _needs(each, seen))
    if not needed_by:
        return Forget()
    return Keep(None if needed_by == seen.kept_for else needed_by)


def may_start(kept_for: frozenset[str] | None, round_uid: str) -> bool:
    """Whether a round may start from a result whose own round is gone. A round that was applied later may not."""
    return kept_for is None or round_uid in kept_for


def is_follower(federated_round: FederatedRound, name: str) -> bool:
    """Whether a round is not over and uses, or will use, the result of a round of that name."""
    return name in source_names(federated_round) and not is_over(federated_round)


def _needs(follower: Follower, seen: Observation) -> bool:
    if follower.started_from:
        return follower.started_from == seen.round_uid
    return may_start(seen.kept_for, follower.uid)
