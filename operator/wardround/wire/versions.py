"""Which versions of assignments there are, and which fields of one a reader must understand. Reads no meaning.

A new version adds one or more critical fields. A field is critical if a reader that ignores it would do something else
than the hub asks. `critical` of an assignment lists these fields, as `crit` does in JOSE (RFC 7515, section 4.1.11).
All other fields of the lowest version are not listed, because every reader knows them. A field that a reader may ignore
needs no new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardround.wire import codec
from wardround.wire.assignment import Assignment

# A version adds the critical fields with its number as `since`, beside those of the version before. docs/changing.md
# says how to add one.
KNOWN = tuple(sorted({each.since for each in codec.attributes(Assignment) if each.since is not None}))
LATEST = KNOWN[-1]
# The most names in one list.
MOST_LISTED = 64


class NotUnderstood(Exception):
    """The reader does not know `field`, which it would have to understand, or the version itself."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def critical(version: int) -> tuple[str, ...]:
    """The list of critical fields of a known version, in its one order. Raises KeyError for an unknown version."""
    if version not in KNOWN:
        raise KeyError(version)
    return tuple(sorted(each.json for each in _fields(version) if each.since is not None))


def known_fields(version: int) -> frozenset[str]:
    """The fields that a reader takes from an assignment of this version. It ignores all others."""
    return frozenset(each.json for each in _fields(version))


def write(assignment: Assignment) -> dict[str, Any]:
    """Return the document, without the fields that its version does not have. Raises KeyError for an unknown version,
    ValueError for a list of critical fields that is not the version's."""
    if assignment.critical != critical(assignment.version):
        raise ValueError(f"version {assignment.version} has the critical fields {critical(assignment.version)}")
    return codec.dump_document(assignment, assignment.version)


def read(document: Mapping[str, Any]) -> Assignment:
    """Return the assignment of a document. Unknown fields that are not listed as critical are ignored, but only beside
    each other: what stands inside a known field is read strictly. Raises NotUnderstood or Malformed."""
    version, listed = _version(document), _listed(document)
    if version not in KNOWN:
        raise NotUnderstood("version")
    fields = known_fields(version)
    for name in listed:
        if name not in fields:
            raise NotUnderstood(name)
        if name not in document:
            raise codec.Malformed(name, "missing")
    if listed != critical(version):
        raise codec.Malformed("critical", f"expected the critical fields of version {version}")
    known = {name: each for name, each in document.items() if name in fields}
    return codec.parse_document(Assignment, known, version=version)


def _version(document: Mapping[str, Any]) -> int:
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise codec.Malformed("version", "expected int")
    return version


def _listed(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The critical fields that a document lists, of any version."""
    listed = document.get("critical")
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise codec.Malformed("critical", "expected a list of names")
    if len(listed) > MOST_LISTED or len(listed) != len(set(listed)) or "" in listed:
        raise codec.Malformed("critical", f"expected at most {MOST_LISTED} different names")
    return tuple(listed)


def _fields(version: int) -> list[codec.Attribute]:
    return [each for each in codec.attributes(Assignment) if each.belongs_to(version)]
