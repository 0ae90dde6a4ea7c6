"""Decides a Site's condition about IPv6 link-local, from what the sidecar of its newest training pod heard; pure.

No NetworkPolicy need cover link-local, and nothing outside a pod can show that somebody there would answer. So an
answer makes LinkLocalClosed False, silence leaves it Unknown, and only a pod without IPv6 makes it True.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from wardround.api import conditions
from wardround.api.site import SiteStatus
from wardround.api.times import parse_time
from wardround.plans.pod import Step
from wardround.reasons.registry import REASONS
from wardround.wire.outcome import LinkLocalHeard

CONDITION = "LinkLocalClosed"
OPEN, SILENT, ABSENT = "LinkLocalOpen", "LinkLocalSilent", "LinkLocalAbsent"
# On a node whose pods are on a bridge. What neighbours and routers are found by still passes, so IPv6 itself goes on.
COMMAND = (
    "nft 'table bridge wardround { chain link_local { type filter hook prerouting priority -300; "
    'iifname "veth*" icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, '
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept; "
    'iifname "veth*" ip6 saddr fe80::/10 drop; iifname "veth*" ip6 daddr { fe80::/10, ff00::/8 } drop; }; }\''
)


def plan(status: SiteStatus, watched: Step, *, generation: int, now: datetime) -> SiteStatus:
    """The status after a sidecar ended as `watched` says.

    It is unchanged where the sidecar says nothing of link-local, or ended before the condition last changed: then it
    was heard before, and a newer pod has told something else since.
    """
    heard = watched.report.link_local if watched.report else None
    if heard is None or _is_older(watched, status):
        return status
    value, reason, message = _condition(heard)
    changed = conditions.set_condition(
        status.conditions, CONDITION, value, reason, message, now=now, generation=generation
    )
    return dataclasses.replace(status, conditions=changed)


def _is_older(watched: Step, status: SiteStatus) -> bool:
    before = conditions.find(status.conditions, CONDITION)
    if before is None or watched.finished is None:
        return False
    return watched.finished <= parse_time(before.last_transition_time)


def _condition(heard: LinkLocalHeard) -> tuple[bool | conditions.Status, str, str]:
    if heard.heard == "Absent":
        return True, ABSENT, REASONS[ABSENT].meaning
    if heard.heard == "Silent":
        return "Unknown", SILENT, REASONS[SILENT].meaning
    message = (
        f"{REASONS[OPEN].meaning} Run this command on each node, as docs/operations.md says (IPv6 link-local): "
        f"{COMMAND}. These addresses answered: {', '.join(heard.answers)}"
    )
    return False, OPEN, message
