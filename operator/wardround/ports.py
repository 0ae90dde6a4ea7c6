"""What our processes reach outside themselves, as protocols: an API server, a watch on it, the store. No I/O here.

`kube.client.Client`, `kube.operator.Watcher` and `store.transfer.Store` are the real ones. A simulation brings its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

Object = dict[str, Any]
Objects = list[Object]
TokenSource = Callable[[], str]
OnObject = Callable[[str, Object], None]


class Api(Protocol):
    """One API server as one identity. All calls raise the ApiErrors of `kube.errors`."""

    @property
    def server(self) -> str:
        """The URL."""

    @property
    def ca_pem(self) -> str:
        """The authority that the server's certificate is signed by."""

    @property
    def token(self) -> TokenSource:
        """Asked before each call: tokens rotate."""

    @property
    def namespace(self) -> str:
        """The namespace of a call that names none."""

    async def close(self) -> None:
        """For good: every later call fails."""

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object: ...

    async def list(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> Objects:
        """All objects of a kind in a namespace, or `everywhere`."""

    def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        """What `list` returns, a few objects at a time."""

    async def create(self, obj: Mapping[str, Any]) -> Object: ...

    async def create_if_absent(self, obj: Mapping[str, Any]) -> bool:
        """Whether it was made; False if one of that name was there before."""

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        """A JSON merge patch (RFC 7386)."""

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        """Write what changed between two dumps of the status, if anything did. Conflict unless it is as `observed`."""

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object, and its dependents in the background. Conflict unless UID and version are as given."""

    async def delete_if_exists(self, kind: str, name: str, namespace: str | None = None) -> None: ...

    async def create_token(self, service_account: str, seconds: int, namespace: str | None = None) -> Object:
        """A TokenRequest; the answer's `status` has `token` and `expirationTimestamp`."""

    def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """For ever: (ADDED | MODIFIED | DELETED, object), and ("LISTED", {}) after each list."""


class Watcher(Protocol):
    """Follows some kinds at one API server."""

    @property
    def missing(self) -> str:
        """What readiness still waits for; empty once all was listed."""

    async def run(self) -> None:
        """For ever."""


class Watch(Protocol):
    """Makes a Watcher: `on_object(kind, object)` is called for each object that is listed or changes."""

    def __call__(
        self, client: Api, kinds: Iterable[str], on_object: OnObject, *, namespaces: tuple[str, ...] | None
    ) -> Watcher: ...


class Store(Protocol):
    """Moves bytes by presigned URLs. All calls raise StoreError."""

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        """Pass exactly `length` bytes of an object from `offset` on to `sink`, in order."""

    async def get_bytes(self, url: str, length: int, *, offset: int = 0) -> bytes:
        """Return exactly `length` bytes of an object from `offset` on."""

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        """Store `length` bytes of a file as one object. Return whether it is there by this call."""

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        """Store `data` as one object. Return whether it is there by this call."""

    async def request(self, method: str, url: str) -> bytes:
        """Send a small request without a body and return the small answer."""


class OpenStore(Protocol):
    """Opens the store at one origin, whose certificate the authority of `ca_bundle` signed (empty: the system's)."""

    def __call__(
        self, origin: str, ca_bundle: str = "", proxy_url: str = "", /
    ) -> AbstractAsyncContextManager[Store]: ...
