"""Makes presigned S3 URLs, in path style, from credentials and a given time; sends nothing. Only the hub uses it.

It uses only botocore's signer: botocore's client would load megabytes of service models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as _Credentials

from wardround.wire.digests import CONTENT_MD5, content_md5

LONGEST_SECONDS = 7 * 24 * 3600  # the most that SigV4 allows


@dataclass(frozen=True)
class Credentials:
    """The hub's access to the store."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class SignedPut:
    """A presigned PUT. Its holder may store one object, once, with exactly these headers."""

    url: str = field(repr=False)
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Presigner:
    """Signs for one bucket at one origin (`https://host[:port]`)."""

    origin: str
    bucket: str
    region: str
    credentials: Credentials

    def get(self, key: str, now: datetime, seconds: int) -> str:
        """Return a URL that reads one object, until `seconds` after `now`. A request may add `Range`."""
        return self.sign("GET", key, now, seconds)

    def put(self, key: str, now: datetime, seconds: int, length: int | None = None, md5: str = "") -> SignedPut:
        """Return a PUT that creates one object and cannot replace one.

        `length`: the exact number of bytes. Without it, any number is accepted. Only the hub's own aggregation Job gets
        such a PUT, because the hub does not know the length of an initial round's result. `md5`: of the only body that
        the store accepts. The length alone is not enough: versitygw 1.8 keeps the beginning of a body whose connection
        was cut off, and then refuses the repeated PUT. S3 refuses a Content-MD5 that is not signed.
        """
        headers = {"If-None-Match": "*"}
        if length is not None:
            headers["Content-Length"] = str(length)
        if md5:
            headers[CONTENT_MD5] = md5
        return SignedPut(self.sign("PUT", key, now, seconds, headers=headers), headers)

    def put_of(self, data: bytes, key: str, now: datetime, seconds: int) -> SignedPut:
        """Return a PUT that creates one object of these very bytes."""
        return self.put(key, now, seconds, len(data), content_md5([data]))

    def sign(
        self,
        method: str,
        key: str,
        now: datetime,
        seconds: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Return a presigned URL. An empty `key` means the bucket. The request must send exactly these `headers`.

        Raises ValueError for a lifetime outside 1 to LONGEST_SECONDS.
        """
        if not 1 <= seconds <= LONGEST_SECONDS:
            raise ValueError(f"a URL lives from 1 to {LONGEST_SECONDS} seconds, not {seconds}")
        path = quote(f"/{self.bucket}/{key}".rstrip("/") if not key else f"/{self.bucket}/{key}", safe="/~-_.")
        url = self.origin.rstrip("/") + path
        if query:
            url += "?" + urlencode(sorted(query.items()), quote_via=quote, safe="~-_.")
        request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
        _Signer(self.credentials, self.region, seconds).sign(request, now)
        return str(request.url)


class _Signer(S3SigV4QueryAuth):  # type: ignore[misc]  # botocore has no types
    def __init__(self, credentials: Credentials, region: str, seconds: int) -> None:
        super().__init__(_Credentials(credentials.access_key, credentials.secret_key), "s3", region, expires=seconds)

    def sign(self, request: AWSRequest, now: datetime) -> None:
        # Like `add_auth`, but with a given time instead of the machine's clock.
        request.context["timestamp"] = now.astimezone(UTC).strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))
