"""Decides what a Site says of IPv6 link-local, by what the gate of its newest training pod heard; pure.

No NetworkPolicy need cover link-local, and nothing outside a pod can show that somebody there would answer. So an
answer makes LinkLocalClosed False, silence leaves it Unknown, and only a pod without IPv6 makes it True.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wardround.api import conditions
from wardround.api.site import SiteStatus
from wardround.wire import codec

CONDITION = "LinkLocalClosed"
OPEN, SILENT, ABSENT = "LinkLocalOpen", "LinkLocalSilent", "LinkLocalAbsent"
# On a node whose pods are on a bridge. What neighbours and routers are found by still passes, so IPv6 itself goes on.
COMMAND = (
    "nft 'table bridge wardround { chain link_local { type filter hook prerouting priority -300; "
    'iifname "veth*" icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, '
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept; "
    'iifname "veth*" ip6 saddr fe80::/10 drop; iifname "veth*" ip6 daddr { fe80::/10, ff00::/8 } drop; }; }\''
)


@dataclasses.dataclass(frozen=True)
class _Heard:
    """`heard`: Open, Silent or Absent. `answers`: who answered and how, without addresses."""

    heard: str
    answers: tuple[str, ...] = ()


def plan(status: SiteStatus, document: Mapping[str, Any], *, generation: int, now: datetime) -> SiteStatus:
    """The status after `prepare` has ended with that document: unchanged where it does not speak of link-local."""
    if "linkLocal" not in document:
        return status
    heard = codec.parse(_Heard, document["linkLocal"], "what prepare said of link-local")
    value, reason, message = _condition(heard)
    changed = conditions.set_condition(
        status.conditions, CONDITION, value, reason, message, now=now, generation=generation
    )
    return dataclasses.replace(status, conditions=changed)


def _condition(heard: _Heard) -> tuple[bool | conditions.Status, str, str]:
    if heard.heard == "Absent":
        return True, ABSENT, "training pods have no IPv6 here"
    if heard.heard == "Silent":
        return "Unknown", SILENT, "nobody answered the last training pod, which does not show that nobody can"
    message = (
        "training pods can reach their neighbours past the NetworkPolicy. Run this on each node, as docs/operations.md "
        f"says (IPv6 link-local): {COMMAND}. Answered: {', '.join(heard.answers)}"
    )
    return False, OPEN, message
