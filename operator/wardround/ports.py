"""Protocols of the services that our processes use: an API server, a watch on it, the store. No I/O here.

`kube.client.Client`, `kube.operator.Watcher` and `store.transfer.StoreClient` implement them. The simulation has
its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

Object = dict[str, Any]
Objects = list[Object]
TokenSource = Callable[[], str]
OnObject = Callable[[str, Object], None]


class Api(Protocol):
    """A client of one API server with one identity. All calls raise the ApiErrors of `kube.errors`."""

    @property
    def server(self) -> str:
        """The server's URL."""

    @property
    def ca_pem(self) -> str:
        """The authority that signs the server's certificate, as PEM."""

    @property
    def token(self) -> TokenSource:
        """Called before each request, because tokens rotate."""

    @property
    def namespace(self) -> str:
        """The default namespace of calls."""

    async def close(self) -> None:
        """Closes the client. Every later call fails."""

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object: ...

    async def get_if_exists(self, kind: str, name: str, namespace: str | None = None) -> Object | None: ...

    async def list(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> Objects:
        """All objects of a kind in a namespace, or `everywhere`."""

    def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        """Like `list`, but fetches a few objects at a time."""

    async def create(self, obj: Mapping[str, Any]) -> Object: ...

    async def create_if_absent(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object was created; False if an object of that name existed."""

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        """Sends a JSON merge patch (RFC 7386)."""

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        """Writes the changes between two dumps of the status, if any. Raises Conflict if `observed` is outdated."""

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Deletes an object, and its dependents in the background. Raises Conflict if UID or version differ."""

    async def delete_if_exists(
        self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        """Returns whether this call deleted the object: it may be gone, or another one may have its name by now."""

    async def create_token(self, service_account: str, seconds: int, namespace: str | None = None) -> Object:
        """Sends a TokenRequest. The answer's `status` has `token` and `expirationTimestamp`."""

    def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yields (ADDED | MODIFIED | DELETED, object) without end, ("LISTING", {}) before each list, and
        ("LISTED", {}) after it."""


class Watcher(Protocol):
    """Watches some kinds at one API server."""

    @property
    def missing(self) -> str:
        """The first lists that readiness still waits for, as text; empty once all kinds are listed."""

    async def run(self) -> None:
        """Watches without end."""


class Watch(Protocol):
    """Makes a Watcher. It calls `on_object(kind, object)` for each object that is listed or changes. An object that is
    gone has a `deletionTimestamp`."""

    def __call__(
        self, client: Api, kinds: Iterable[str], on_object: OnObject, *, namespaces: tuple[str, ...] | None
    ) -> Watcher: ...


class Store(Protocol):
    """Moves bytes by presigned URLs. All calls raise StoreError."""

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        """Pass exactly `length` bytes of an object, from `offset`, to `sink`, in order."""

    async def get_bytes(self, url: str, length: int, *, offset: int = 0) -> bytes:
        """Return exactly `length` bytes of an object, from `offset`."""

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        """Store `length` bytes of a file as one object. Return whether this call stored it."""

    async def put_bytes(self, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        """Store `data` as one object. Return whether this call stored it."""


class AdministeredStore(Store, Protocol):
    """The store as the hub operator uses it: it also makes the bucket, and lists and deletes objects."""

    async def request(self, method: str, url: str) -> bytes:
        """Send a request without a body and return its answer, which is small."""


StoreT = TypeVar("StoreT", bound=Store, covariant=True)


class OpenStore(Protocol[StoreT]):
    """Opens the store at one origin. `ca_bundle`: the authority of its certificate, as PEM; empty: the system's."""

    def __call__(
        self, origin: str, ca_bundle: str = "", proxy_url: str = "", /
    ) -> AbstractAsyncContextManager[StoreT]: ...
