"""Decides which of the training pod's claims about an update leave the site, and when they are refused. Pure."""

from __future__ import annotations

from dataclasses import replace

from wardround.sealing import untrusted
from wardround.sealing.refused import Refused
from wardround.wire import codec, digests
from wardround.wire.assignment import Assignment
from wardround.wire.update import UpdateClaims, ValidationSums, longest_sums


def read_claims(document: bytes, assignment: Assignment) -> UpdateClaims:
    """Parse update.json. Raises Refused. A reported metric that the round does not declare stays here."""
    try:
        claims = codec.read_document(UpdateClaims, document)
    except codec.Malformed:
        raise Refused("OutputNotSafetensors") from None
    if claims.sums is not None:
        claims = replace(claims, sums=_declared(claims.sums, assignment))
    named = (claims.digest, claims.schema_digest, *([claims.base_digest] if claims.base_digest else []))
    if not all(map(digests.DIGEST.fullmatch, named)):
        raise Refused("OutputNotSafetensors")
    return claims


def require_base(claims: UpdateClaims, base_digest: str) -> None:
    """Raises Refused if the update names another base. `base_digest`: "" in a round without a base at the hub."""
    if base_digest and claims.base_digest != base_digest:
        raise Refused("WrongBase")


def _declared(text: bytes, assignment: Assignment) -> bytes:
    """The sums with the reported metrics that the round declares. Raises Refused."""
    sums = untrusted.parse(ValidationSums, untrusted.loads(text, "MetricsInvalid"), "MetricsInvalid")
    reported = {name: sums.reported[name] for name in assignment.metrics if name in sums.reported}
    written = codec.write_document(replace(sums, reported=reported))
    if len(written) > longest_sums(assignment.metrics):
        raise Refused("MetricsInvalid")
    return written
