"""An API server in memory: objects, versions, preconditions, owner references, tokens, watches. No RBAC, no CEL.

What it does is what Kubernetes documents of these, and what tests/integration* show of a real one. It reads no object.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import itertools
import json
import marshal
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.simulation import kinds
from wardround.api.times import to_seconds
from wardround.clock import Clock
from wardround.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from wardround.kube.resources import RESOURCES
from wardround.ports import Object, Objects

# An object as bytes: by far the fastest way in Python to hand out a copy. Nothing is kept in this form.
Frozen = bytes
Event = tuple[str, Frozen]
# A dependent is collected some time after its owner is gone.
COLLECTED_SECONDS = 0.5


class Place(NamedTuple):
    """Where an object lies."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Write:
    """One write that was done: what tests count, and rules judge before it is done."""

    verb: str
    place: Place
    account: str
    manager: str
    subresource: str = ""


@dataclass(frozen=True)
class Read:
    """One answer to a GET, or to a list: how many objects it had, and about how many bytes. `scanned`: how many objects
    the API server went through for it."""

    kind: str
    objects: int
    bytes: int = 0
    scanned: int = 1


@dataclass(frozen=True)
class Account:
    """Whose token it is, and until when."""

    name: str
    expires: datetime


@dataclass(eq=False)
class Follower:
    """One watch: a queue of (event, object)."""

    kind: str
    namespace: str | None
    labels: str
    fields: str
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self._labels = [each.partition("=") for each in self.labels.split(",") if each]

    def sees(self, place: Place, item: Object) -> bool:
        if place.kind != self.kind or self.namespace not in (None, place.namespace):
            return False
        return selects(self._labels, item) and named(self.fields, item)


@dataclass
class _Stored:
    """Copies of `frozen` are handed out, `item` is for the server alone: so no reader can change what lies here."""

    item: Object
    frozen: Frozen


class Server:
    """One cluster's. `refuses` says why a write is not let in, or nothing."""

    def __init__(self, url: str, clock: Clock, refuses: Callable[[Write], str] = lambda _: "") -> None:
        self.url = url
        self.clock = clock
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self._refuses = refuses
        self._stored: defaultdict[str, dict[Place, _Stored]] = defaultdict(dict)  # by kind
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self._followers: list[Follower] = []
        self._accounts: dict[str, Account] = {}

    # Accounts

    def token(self, account: str, seconds: float) -> str:
        """A token of a service account, for its own API server: a JWT but for its signature."""
        now = self.clock()
        issued = {"iat": now.timestamp(), "exp": now.timestamp() + seconds, "aud": [self.url], "sub": account}
        body = base64.urlsafe_b64encode(json.dumps({**issued, "jti": next(self._uids)}).encode()).decode().rstrip("=")
        made = f"e30.{body}.unsigned"
        self._accounts[made] = Account(account, now + timedelta(seconds=seconds))
        return made

    def account(self, token: str, doing: str) -> str:
        """Whose it is. Raises Unauthorized."""
        known = self._accounts.get(token)
        if known is None or known.expires <= self.clock():
            raise Unauthorized(doing, "401 Unauthorized")
        return known.name

    # Reading

    def read(self, place: Place) -> Object:
        stored = self._stored[place.kind].get(place)
        self.reads.append(Read(place.kind, 1, len(stored.frozen) if stored else 0))
        return self._read(place, f"get {place}")

    def select(self, kind: str, namespace: str | None, labels: str = "", fields: str = "") -> Objects:
        follower = Follower(kind, namespace, labels, fields)
        items = [each for place, each in self._stored[kind].items() if follower.sees(place, each.item)]
        scanned = sum(namespace in (None, place.namespace) for place in self._stored[kind])
        self.reads.append(Read(kind, len(items), sum(len(each.frozen) for each in items), scanned))
        return [thawed(each.frozen) for each in items]

    def follow(self, follower: Follower) -> None:
        self._followers.append(follower)

    def leave(self, follower: Follower) -> None:
        self._followers.remove(follower)

    # Writing

    def create(self, item: Object, account: str = "admin", manager: str = "") -> Object:
        kind, meta = item["kind"], item["metadata"]
        namespace = str(meta.get("namespace", "")) if RESOURCES[kind].namespaced else ""
        place = Place(kind, namespace, meta["name"])
        doing = f"post {place}"
        self._let_in(Write("create", place, account, manager), doing)
        if namespace and Place("Namespace", "", namespace) not in self._stored["Namespace"]:
            # Not of the object that was asked for: kube.errors believes no such answer.
            raise Unavailable(doing, f"404 namespaces {namespace!r} not found")
        if place in self._stored[kind]:
            raise AlreadyExists(doing, "409 already exists")
        made = copy.deepcopy(item)
        made.setdefault("apiVersion", RESOURCES[kind].api_version)
        if kinds.has_status(kind):
            made.pop("status", None)
        for name, value in made.pop("stringData", {}).items():
            made.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()
        made["metadata"] |= {"uid": str(uuid.UUID(int=next(self._uids), version=4)), "generation": 1}
        made["metadata"]["creationTimestamp"] = to_seconds(self.clock())
        return self._keep(None, place, made, doing)

    def change(
        self,
        place: Place,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
        account: str = "admin",
        manager: str = "",
        strict: bool = True,
    ) -> Object:
        """A merge patch of everything but the status, or of the status alone."""
        doing = f"patch {place}"
        self._let_in(Write("patch", place, account, manager, subresource), doing)
        before = self._read(place, doing)
        meta = body.get("metadata", {})
        self._require("resourceVersion", meta.get("resourceVersion"), before, doing)
        # A patch cannot make another object of it; of a precondition nobody speaks.
        self._require("uid", meta.get("uid"), before, doing, Invalid)
        after = merged(before, body)
        if kinds.has_status(place.kind):
            kept = {"status"} if subresource != "status" else before.keys() - {"status"}
            after = {key: value for key, value in after.items() if key not in kept}
            after |= {key: before[key] for key in kept if key in before}
        if before.get("immutable") and after.get("data") != before.get("data"):
            raise Invalid(doing, "422 the object is immutable")
        after["metadata"] = {
            **after["metadata"],
            **{key: before["metadata"][key] for key in ("uid", "resourceVersion")},
        }
        if not strict:
            after = _without(after, kinds.unknown(place.kind, after))
        kinds.complete(place.kind, after)
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"]["generation"] + 1
        return self._keep(before, place, after, doing)

    def remove(
        self, place: Place, *, uid: str | None = None, version: str | None = None, account: str = "admin"
    ) -> None:
        doing = f"delete {place}"
        self._let_in(Write("delete", place, account, ""), doing)
        item = self._read(place, doing)
        self._require("uid", uid, item, doing)
        self._require("resourceVersion", version, item, doing)
        del self._stored[place.kind][place]
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell(place, item, None, marshal.dumps(item))
        asyncio.get_running_loop().call_later(COLLECTED_SECONDS, self._collect, item["metadata"]["uid"])

    def _live(self) -> set[str]:
        return {each.item["metadata"]["uid"] for stored in self._stored.values() for each in stored.values()}

    def _collect(self, owner: str) -> None:
        for place, each in [pair for stored in self._stored.values() for pair in stored.items()]:
            owners = {reference["uid"] for reference in each.item["metadata"].get("ownerReferences", ())}
            if owner in owners and not owners & self._live():
                self.remove(place)

    def _read(self, place: Place, doing: str) -> Object:
        if place not in self._stored[place.kind]:
            raise NotFound(doing, "404 not found")
        return thawed(self._stored[place.kind][place].frozen)

    def _let_in(self, write: Write, doing: str) -> None:
        if why := self._refuses(write):
            raise Forbidden(doing, f"403 {why}")
        self.writes.append(write)

    @staticmethod
    def _require(name: str, wanted: object, item: Object, doing: str, failure: type[ApiError] = Conflict) -> None:
        if wanted is not None and wanted != item["metadata"][name]:
            raise failure(doing, f"{name} is {item['metadata'][name]}, not {wanted}")

    def _keep(self, before: Object | None, place: Place, item: Object, doing: str) -> Object:
        kinds.complete(place.kind, item)
        if unknown := kinds.unknown(place.kind, item):
            # To a patch, the API server answers without the object's name.
            raise (Unavailable if before else Invalid)(doing, f"unknown fields: {', '.join(unknown)}")
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        frozen = marshal.dumps(item)
        self._stored[place.kind][place] = _Stored(item, frozen)
        self._tell(place, before, item, frozen)
        return thawed(frozen)

    def _tell(self, place: Place, before: Object | None, after: Object | None, frozen: Frozen) -> None:
        """A watcher that selects by labels sees an object come when it gets these labels, and go when it loses them."""
        for each in self._followers:
            saw = before is not None and each.sees(place, before)
            sees = after is not None and each.sees(place, after)
            if saw or sees:
                each.events.put_nowait(("MODIFIED" if saw and sees else "ADDED" if sees else "DELETED", frozen))


def selects(labels: Iterable[tuple[str, str, str]], item: Object) -> bool:
    """Label selectors of equality and of existence: (key, "=" or nothing, value)."""
    have = item["metadata"].get("labels") or {}
    return all(key in have and (not equals or have[key] == value) for key, equals, value in labels)


def named(fields: str, item: Object) -> bool:
    """The field selector that every kind has, and the one of Jobs."""
    if not fields:
        return True
    key, _, value = fields.partition("=")
    if (item["kind"], key) == ("Job", "status.successful"):
        return str((item.get("status") or {}).get("succeeded", 0)) == value
    if key != "metadata.name":
        raise ValueError(f"no field selector {key}")
    return bool(item["metadata"]["name"] == value)


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch, applied (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _without(item: Object, paths: Iterable[str]) -> Object:
    for path in paths:
        *above, last = path.split(".")
        place: Any = item
        for step in above:
            place = place[step]
        del place[last]
    return item


def thawed(frozen: Frozen) -> Object:
    """A copy of its own for who asks."""
    item: Object = marshal.loads(frozen)
    return item
