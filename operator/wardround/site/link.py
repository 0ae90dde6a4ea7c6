"""The site's link to its hub: enrolment Secret, client, token renewal, state of the Lease there; decides nothing."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from wardround.api.site import Hub
from wardround.clock import Draw
from wardround.kube import tokens
from wardround.kube.client import Client
from wardround.kube.errors import ApiError, Conflict, Forbidden, NotFound, Unauthorized
from wardround.plans.site.types import Link, TokenLife
from wardround.ports import Api, TokenSource
from wardround.reasons.registry import REASONS

TOKEN_SECONDS = 24 * 3600
SERVICE_ACCOUNT = "site"
# Under any other name the hub takes nothing from a hospital's account.
FIELD_MANAGER = "wardround-site"
ENROL = (
    "Ask the hub's administrator to run `kubectl wardround enrol {name} --apply --hub-server URL --bootstrap FILE`, "
    "and to send you FILE. URL is the address at which this site reaches the hub's API server. Then run `kubectl "
    "apply -n {here} -f FILE` in this cluster."
)
logger = logging.getLogger(__name__)


class NotEnrolled(Exception):
    """There is no usable enrolment Secret. The message is for people and holds nothing of it."""


@dataclass(frozen=True)
class Credentials:
    server: str
    ca: str
    token: str = field(repr=False)
    namespace: str

    @classmethod
    def parse(cls, secret: Mapping[str, Any]) -> Credentials:
        """Raises NotEnrolled naming the key that is missing."""
        data = secret.get("data") or {}
        values = {}
        for key in ("server", "ca.crt", "token", "namespace"):
            try:
                values[key] = base64.b64decode(data[key], validate=True).decode().strip()
            except (KeyError, binascii.Error, UnicodeDecodeError):
                raise NotEnrolled(
                    f"The key {key} of the enrolment Secret is missing or is no text in base64."
                ) from None
            if not values[key]:
                raise NotEnrolled(f"The key {key} of the enrolment Secret is empty.")
        return cls(values["server"], values["ca.crt"], values["token"], values["namespace"])


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
        name = hub.enrolment_secret_name
        try:
            credentials = Credentials.parse(await self._own.get("Secret", name))
            if credentials.namespace != hub.participant_namespace:
                raise NotEnrolled(
                    f"The enrolment Secret is for the Participant {credentials.namespace}, but "
                    f"spec.hub.participantNamespace of the Site is {hub.participant_namespace}."
                )
        except NotFound:
            self._lost(f"There is no Secret {name}.", hub)
            return False
        except NotEnrolled as why:
            self._lost(str(why), hub)
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
        """Notes how the last renewal of the Lease went. A renewal proves that the site is connected. A silent watch
        does not."""
        if self._credentials is None:
            return  # the enrolment is gone: the answers that a client without a token gets say nothing
        if failure is None:
            self._set(Link("Connected"))
        elif isinstance(failure, Unauthorized):
            advice = ENROL.format(name=self._credentials.namespace, here=self._own.namespace)
            why = REASONS["EnrolmentExpired"].meaning
            self._set(Link("EnrolmentExpired", f"{why} {advice}"))
        elif isinstance(failure, Forbidden | NotFound):
            self._set(Link("HubForbids", f"{REASONS['HubForbids'].meaning} The hub's API server says: {failure}"))
        else:
            self._set(Link("HubUnreachable", f"{REASONS['HubUnreachable'].meaning} {failure}"))

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
        try:
            if Credentials.parse(secret) != credentials:
                return  # somebody has just put others there
        except NotEnrolled:
            return  # or none: the next look says so
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

    def _lost(self, why: str, hub: Hub) -> None:
        self._credentials = None
        advice = ENROL.format(name=hub.participant_namespace, here=self._own.namespace)
        self._set(Link("NotEnrolled", f"{why} {advice}"))

    def _set(self, state: Link) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def token_life(token: str) -> TokenLife | None:
    """None for a token that does not say how long it lives (not a JWT)."""
    claims = tokens.claims(token)
    try:
        issued, expires = (datetime.fromtimestamp(float(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    return TokenLife(issued, expires)
