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

# The critical fields that each version adds to the one before, by their names in JSON. docs/changing.md says how to add
# a version.
# Version 3 is the lowest one that is written or accepted. A site that ignores `rows` would count other rows than the
# round asks for. A site that ignores `schema` may send an update over other columns than the hub means, and the hub
# combines columns by position. Sums of floats depend on how threads share them: a site that ignores `threads` trains a
# slightly different model each time that its own limits change. A site that ignores `release` may train a model that
# its hospital wants to keep among the participants. A site that ignores `pushed` may train on weights that a person
# chose.
# Version 4: a site that ignores `references` would send sums without the differences that the round asks for.
REFERENCES_SINCE = 4
# Version 5: a site that ignores `compression` would send an update that the aggregation cannot read.
COMPRESSION_SINCE = 5
ADDED: Mapping[int, tuple[str, ...]] = {
    3: ("pushed", "release", "rows", "schema", "threads"),
    REFERENCES_SINCE: ("references",),
    COMPRESSION_SINCE: ("compression",),
}
KNOWN = tuple(sorted(ADDED))
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
    if version not in ADDED:
        raise KeyError(version)
    return tuple(sorted(name for added in KNOWN if added <= version for name in ADDED[added]))


def known_fields(version: int) -> frozenset[str]:
    """The fields that a reader takes from an assignment of this version. It ignores all others."""
    later = {name for added in KNOWN if added > version for name in ADDED[added]}
    return frozenset(each.json for each in codec.attributes(Assignment)) - later


def write(assignment: Assignment) -> dict[str, Any]:
    """Return the document, without the fields that its version does not have. Raises KeyError for an unknown version,
    ValueError for a list of critical fields that is not the version's."""
    if assignment.critical != critical(assignment.version):
        raise ValueError(f"version {assignment.version} has the critical fields {critical(assignment.version)}")
    fields = known_fields(assignment.version)
    document = {name: value for name, value in codec.dump_document(assignment).items() if name in fields}
    if assignment.version < COMPRESSION_SINCE and document["model"]:
        # What stands inside a field is read strictly, so a site of an older version would refuse it.
        document["model"].pop("compression", None)
    return document


def read(document: Mapping[str, Any]) -> Assignment:
    """Return the assignment of a document. Unknown fields that are not listed as critical are ignored, but only beside
    each other: what stands inside a known field is read strictly. Raises NotUnderstood or Malformed."""
    version, listed = document.get("version"), document.get("critical")
    if not isinstance(version, int) or isinstance(version, bool):
        raise codec.Malformed("version", "expected int")
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise codec.Malformed("critical", "expected a list of names")
    if len(listed) > MOST_LISTED or len(listed) != len(set(listed)) or "" in listed:
        raise codec.Malformed("critical", f"expected at most {MOST_LISTED} different names")
    if version not in ADDED:
        raise NotUnderstood("version")
    fields = known_fields(version)
    for name in listed:
        if name not in fields:
            raise NotUnderstood(name)
        if name not in document:
            raise codec.Malformed(name, "missing")
    if tuple(listed) != critical(version):
        raise codec.Malformed("critical", f"expected the critical fields of version {version}")
    return codec.parse_document(Assignment, {name: each for name, each in document.items() if name in fields})
