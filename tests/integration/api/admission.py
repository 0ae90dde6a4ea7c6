"""Whether the API server admits an object, and with which words it refuses one."""

from __future__ import annotations

from typing import Any

from tests.integration.api.apiserver import Api, Refused, until

Object = dict[str, Any]


def refusal(api: Api, item: Object, user: str = "") -> str:
    """The API server's refusal of an object that this user makes (default: an administrator); empty if none."""
    try:
        api.create(item, user=user, dry_run=True)
    except Refused as refused:
        return str(refused)
    return ""


def until_admitted(api: Api, item: Object, user: str) -> None:
    """Waits, because the API server applies a changed policy or Dataset with a short delay."""
    until("it is admitted", lambda: refusal(api, item, user) == "")


def until_refused(api: Api, item: Object, words: str, user: str) -> None:
    until(f"it is refused for {words!r}", lambda: words in refusal(api, item, user))
