"""A thin typed asyncio client for an API server. It knows paths and errors, and not what the objects mean.

The official client would cost each process 20 MB of models, and the courier has 64 MB in all.
"""

import asyncio
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from wardround.clock import Draw
from wardround.kube.errors import AlreadyExists, Conflict, Gone, NotFound, Unavailable, error, status_error
from wardround.kube.patch import merge_patch
from wardround.kube.resources import RESOURCES
from wardround.ports import Object, Objects, TokenSource
from wardround.store.http import aiohttp

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CALL_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
WATCH_SECONDS = 300
# The server sends at least a bookmark a minute. A watch that is silent for so long has lost its connection.
WATCH_SILENCE = 75
PAGE, SMALL_PAGE = 500, 25
# Calls at once, each on a connection of its own that costs 0.1 MB. Further calls wait, and their timeout begins later.
CALLS_AT_ONCE = 16
# A watch, or an operator, that ran for so long does not count as a failed try when it ends.
STABLE_SECONDS = 60.0
logger = logging.getLogger(__name__)


class _Page(NamedTuple):
    """Some of the objects of a list, and the version of the whole list."""

    items: Objects
    version: str


class Client:
    """Talks to one API server as one identity. The token is read anew for every call, so that rotation works.

    `strict`: the API server refuses a write with a field that it does not know; otherwise it drops the field.
    """

    def __init__(
        self,
        server: str,
        ca_pem: str,
        token: TokenSource,
        namespace: str,
        field_manager: str = "",
        strict: bool = True,
        *,
        draw: Draw,
    ) -> None:
        self.server = server.rstrip("/")
        self.ca_pem = ca_pem
        self.token = token
        self.namespace = namespace
        self.field_manager = field_manager
        self._draw = draw
        self._field_validation = "Strict" if strict else "Ignore"
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    @classmethod
    def in_cluster(cls, field_manager: str = "", folder: Path = SERVICE_ACCOUNT, *, draw: Draw) -> Self:
        """A client with the pod's own service account. The kubelet gives the address, so this needs no DNS."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        ca, namespace = (folder / "ca.crt").read_text(), (folder / "namespace").read_text().strip()
        return cls(server, ca, lambda: (folder / "token").read_text().strip(), namespace, field_manager, draw=draw)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes it for good: each later call raises Unavailable."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return await self._call("GET", kind, namespace or self.namespace, name)

    async def get_if_exists(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        try:
            return await self.get(kind, name, namespace)
        except NotFound:
            return None

    async def list(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> Objects:
        """All objects of a kind in a namespace, or `everywhere`."""
        where = None if everywhere else namespace or self.namespace
        return [item async for page in self._pages(kind, where, labels, fields, PAGE) for item in page.items]

    async def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        """The objects of `list`, with only a few of them in memory: for kinds whose number grows for ever.

        Raises Gone if the caller takes minutes for a page. The caller then has to begin anew.
        """
        where = None if everywhere else namespace or self.namespace
        async for page in self._pages(kind, where, labels, "", SMALL_PAGE):
            for item in page.items:
                yield item

    async def _pages(
        self, kind: str, namespace: str | None, labels: str, fields: str, size: int
    ) -> AsyncIterator[_Page]:
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(size)}
        while True:
            answer = await self._call("GET", kind, namespace, query=query)
            try:
                listed, meta = answer["items"], answer["metadata"]
                version, resume = meta["resourceVersion"], meta.get("continue")
                # The items of a list come without their own kind.
                items = [{"apiVersion": RESOURCES[kind].api_version, "kind": kind, **item} for item in listed]
            except (KeyError, TypeError, AttributeError):
                raise Unavailable(f"list {kind}", f"{self.server}: the answer is no list of objects") from None
            yield _Page(items, version)
            if not resume:
                return
            query["continue"] = resume

    async def create(self, obj: Mapping[str, Any]) -> Object:
        namespace = obj["metadata"].get("namespace", self.namespace)
        return await self._call("POST", obj["kind"], namespace, body=obj, named=obj["metadata"].get("name", ""))

    async def create_if_absent(self, obj: Mapping[str, Any]) -> bool:
        """Returns True if it was created, and False if an object of that name exists."""
        try:
            await self.create(obj)
        except AlreadyExists:
            return False
        return True

    async def replace(self, obj: Mapping[str, Any]) -> Object:
        meta = obj["metadata"]
        return await self._call("PUT", obj["kind"], meta.get("namespace", self.namespace), meta["name"], body=obj)

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        """A JSON merge patch (RFC 7386)."""
        return await self._call("PATCH", kind, namespace or self.namespace, name, body=body)

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        """Writes the difference of two dumps of the status, if there is one.

        Raises Conflict if the object has changed since it was `observed`, or is another one of the same name. Fields of
        other writers are not in the difference. Lists, such as conditions, are always sent whole.
        """
        change = merge_patch(before, after)
        if change == {}:
            return None
        meta = observed["metadata"]
        body = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}, "status": change}
        return await self._call(
            "PATCH", observed["kind"], meta.get("namespace"), meta["name"], subresource="status", body=body
        )

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Deletes an object, and its dependents in the background. Raises Conflict if its UID or version is another."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {key: value for key, value in conditions.items() if value},
        }
        await self._call("DELETE", kind, namespace or self.namespace, name, body=body)

    async def delete_if_exists(
        self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        try:
            await self.delete(kind, name, namespace, uid=uid)
        except NotFound:
            return False
        except Conflict:
            if uid is None:
                raise
            return False
        return True

    async def create_token(self, service_account: str, seconds: int, namespace: str | None = None) -> Object:
        """A TokenRequest; the answer's `status` has `token` and `expirationTimestamp`."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        where = namespace or self.namespace
        return await self._call("POST", "ServiceAccount", where, service_account, subresource="token", body=body)

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Lists a kind and then follows it, for ever: (ADDED | MODIFIED | DELETED, object).

        After a loss of connection the watch continues where it was. After 410 it lists again: it then yields ADDED for
        objects that it may have yielded before, and nothing for objects that were deleted meanwhile. Each list begins
        with ("LISTING", {}) and ends with ("LISTED", {}). Raises Forbidden, Unauthorized or Invalid, which a further
        try would not heal.
        """
        where = None if everywhere else namespace or self.namespace
        version: str | None = None
        failures = 0
        while True:
            try:
                if version is None:
                    listed = ""
                    yield "LISTING", {}
                    async for page in self._pages(kind, where, labels, fields, SMALL_PAGE):
                        for item in page.items:
                            yield "ADDED", item
                        listed = page.version
                    version = listed
                    yield "LISTED", {}
                async for event, item in self._follow(kind, where, version, labels, fields):
                    version = item["metadata"]["resourceVersion"]
                    failures = 0
                    if event != "BOOKMARK":
                        yield event, item
                failures = 0
            except Gone:
                version = None
            except Unavailable as failure:
                failures += 1
                logger.warning("%s; trying again", failure)
                await asyncio.sleep(backoff(failures, draw=self._draw))

    async def _follow(
        self, kind: str, namespace: str | None, version: str, labels: str, fields: str
    ) -> AsyncIterator[tuple[str, Object]]:
        resource = RESOURCES[kind]
        doing = f"watch {kind}"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=WATCH_SILENCE)
        try:
            async with self._open().get(
                self.server + resource.path(namespace),
                params=_given(query),
                headers=self._headers(),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise error(response.status, await response.text(), doing=doing, resource=resource, name="")
                async for line in _lines(response.content):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise status_error(event["object"], doing=doing, resource=resource, name="")
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
            raise Unavailable(doing, f"{self.server}: {_say(failure)}") from failure

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise aiohttp.ClientConnectionError("this client was closed")
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=self.ca_pem), limit=0)
            # The API server's address is a setting, so proxies of the environment do not apply.
            self._session = aiohttp.ClientSession(connector=connector, timeout=CALL_TIMEOUT, trust_env=False)
        return self._session

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}", "Accept": "application/json"}

    async def _call(
        self,
        verb: str,
        kind: str,
        namespace: str | None,
        name: str | None = None,
        *,
        subresource: str | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        named: str = "",
    ) -> Object:
        resource = RESOURCES[kind]
        place = "/".join(filter(None, (namespace, name or named, subresource)))
        doing = f"{verb.lower()} {kind} {place}"
        headers = self._headers() | _content_type(verb, body)
        try:
            async with (
                self._places,
                self._open().request(
                    verb,
                    self.server + resource.path(namespace, name, subresource),
                    params=self._parameters(verb, query, body),
                    headers=headers,
                    data=None if body is None else json.dumps(body),
                    allow_redirects=False,
                ) as response,
            ):
                text = await response.text()
                if response.status >= 300:
                    raise error(response.status, text, doing=doing, resource=resource, name=name or named)
                answer = _object(text)
                if verb == "GET" and name and (answer.get("kind"), _name(answer)) != (kind, name):
                    raise Unavailable(doing, f"{self.server}: the answer is no such object")
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as failure:
            raise Unavailable(doing, f"{self.server}: {_say(failure)}") from failure

    def _parameters(self, verb: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None) -> dict[str, str]:
        """The query of a request. A write also says how the API server treats its fields, and whose fields they are."""
        writes = body is not None and verb != "DELETE"
        options = {"fieldValidation": self._field_validation, "fieldManager": self.field_manager} if writes else {}
        return _given({**(query or {}), **options})


def _given(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters that have a value."""
    return {key: value for key, value in query.items() if value}


def _content_type(verb: str, body: Mapping[str, Any] | None) -> dict[str, str]:
    if body is None:
        return {}
    return {"Content-Type": "application/merge-patch+json" if verb == "PATCH" else "application/json"}


def failed_in_a_row(failures: int, held_seconds: float) -> int:
    """The number of failures in a row after one more, of a watch or an operator that had run for so many seconds."""
    return 1 if held_seconds > STABLE_SECONDS else failures + 1


def backoff(failures: int, base: float = 0.5, most: float = 30.0, *, draw: Draw) -> float:
    """Seconds to wait before try number `failures` + 1: from half of an exponential ceiling up to it, at random.

    Clients that failed together then do not come back together, and none comes back at once.
    """
    ceiling = min(most, base * float(2 ** min(failures, 16)))
    return ceiling * (0.5 + draw() / 2)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream. An object can be longer than aiohttp's own limit for a line."""
    pending = bytearray()
    async for chunk in stream.iter_any():
        pending += chunk
        *whole, rest = pending.split(b"\n") if b"\n" in chunk else [pending]
        for line in whole:
            if line:
                yield bytes(line)
        pending = bytearray(rest)


def _object(text: str) -> Object:
    """Raises ValueError if the text is no JSON object: a proxy in front of a hub may answer 200 with a page."""
    answer = json.loads(text)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no JSON object")
    return answer


def _name(answer: Object) -> object:
    meta = answer.get("metadata")
    return meta.get("name") if isinstance(meta, dict) else None


def _say(failure: BaseException) -> str:
    return str(failure) or type(failure).__name__
