"""The site's link to its hub: enrolment Secret, client, token renewal, Lease. plans/site/link decides its state."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from wardround.api.site import Hub
from wardround.clock import Draw
from wardround.kube import tokens
from wardround.kube.client import Client
from wardround.kube.errors import ApiError, Conflict, Forbidden, NotFound, Unauthorized
from wardround.plans.site.link import Credentials, Heartbeat, after_heartbeat, enrolment
from wardround.plans.site.types import Link, TokenLife
from wardround.ports import Api, TokenSource
from wardround.reasons.registry import REASONS

TOKEN_SECONDS = 24 * 3600
SERVICE_ACCOUNT = "site"
# Under any other name the hub takes nothing from a hospital's account.
FIELD_MANAGER = "wardround-site"
logger = logging.getLogger(__name__)


class Connect(Protocol):
    """Makes a client to the hub; `token` is asked before each call."""

    def __call__(self, credentials: Credentials, token: TokenSource, /) -> Api: ...


def connect(credentials: Credentials, token: TokenSource, *, draw: Draw) -> Api:
    """The real one."""
    # A site may be newer than its hub, whose kinds then lack some fields of its report.
    server, ca = credentials.server, credentials.ca
    return Client(server, ca, token, credentials.namespace, FIELD_MANAGER, strict=False, draw=draw)


class HubLink:
    """Holds the client to the hub while there is one. One loop, no locks."""

    def __init__(self, own: Api, changed: Callable[[], None], connect: Connect) -> None:
        self._own = own
        self._changed = changed
        self._connect = connect
        self._credentials: Credentials | None = None
        self.client: Api | None = None
        self.state = Link("Connecting", REASONS["Connecting"].meaning)

    @property
    def connected(self) -> bool:
        return self.state.state == "Connected"

    async def refresh(self, hub: Hub) -> bool:
        """Reads the enrolment Secret; whether the client is another one now. Raises ApiError of the own cluster.

        A token that people have put there makes another one too: they wait for an answer, and its first heartbeat comes
        at once.
        """
        secret = await self._own.get_if_exists("Secret", hub.enrolment_secret_name)
        credentials = enrolment(secret, hub, self._own.namespace)
        if isinstance(credentials, Link):
            self._credentials = None
            self._set(credentials)
            return False
        before, self._credentials = self._credentials, credentials
        if before == credentials and self.client is not None:
            return False
        former = self.client
        self.client = self._connect(credentials, self._token)
        if former is not None:
            await former.close()
        return True

    async def close(self) -> None:
        if self.client is not None:
            await self.client.close()

    def heartbeat(self, failure: ApiError | None) -> None:
        """Notes how the last renewal of the Lease went."""
        if self._credentials is None:
            return  # the enrolment is gone: the answers that a client without a token gets say nothing
        self._set(after_heartbeat(_beat(failure), self._credentials, self._own.namespace))

    def token_life(self) -> TokenLife | None:
        """None without a token, and for a token that does not say how long it lives."""
        return token_life(self._credentials.token) if self._credentials else None

    async def renew_token(self, hub: Hub) -> None:
        """Gets a new token from the hub, and keeps it in the enrolment Secret. Raises ApiError."""
        credentials, client = self._credentials, self.client
        if credentials is None or client is None:
            return
        answer = await client.create_token(SERVICE_ACCOUNT, TOKEN_SECONDS)
        token = str(answer["status"]["token"])
        secret = await self._own.get("Secret", hub.enrolment_secret_name)
        if enrolment(secret, hub, self._own.namespace) != credentials:
            return  # people have put others there, or none: the next look says so
        body = {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": {"token": base64.b64encode(token.encode()).decode()},
        }
        try:
            await self._own.patch("Secret", hub.enrolment_secret_name, body)
        except Conflict:
            return  # the next look decides anew
        self._credentials = Credentials(credentials.server, credentials.ca, token, credentials.namespace)
        logger.info("renewed the hub token, good until %s", answer["status"]["expirationTimestamp"])

    def _token(self) -> str:
        return self._credentials.token if self._credentials else ""

    def _set(self, state: Link) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def _beat(failure: ApiError | None) -> Heartbeat:
    match failure:
        case None:
            return Heartbeat(answer="Renewed")
        case Unauthorized():
            return Heartbeat(answer="Unauthorized", words=str(failure))
        case Forbidden() | NotFound():
            return Heartbeat(answer="Forbidden", words=str(failure))
        case _:
            return Heartbeat(answer="Unavailable", words=str(failure))


def token_life(token: str) -> TokenLife | None:
    """None for a token that does not say how long it lives (not a JWT)."""
    claims = tokens.claims(token)
    try:
        issued, expires = (datetime.fromtimestamp(float(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    return TokenLife(issued, expires)
