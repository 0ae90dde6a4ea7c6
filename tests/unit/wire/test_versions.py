"""A reader refuses an assignment that it would have to understand and does not, and ignores what it may ignore."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.worlds.site import ASSIGNMENT
from wardround.wire import codec, versions
from wardround.wire.assignment import Assignment
from wardround.wire.versions import ADDED, KNOWN, LATEST, NotUnderstood, critical, known_fields, read, write

DOCUMENT = write(ASSIGNMENT)


def changed(**fields: Any) -> dict[str, Any]:
    return {**DOCUMENT, **fields}


def listing(*names: Any) -> dict[str, Any]:
    """With these names more in the list, and the fields that they name."""
    return changed(critical=[*DOCUMENT["critical"], *names], **{str(each): "value" for each in names if each})


def test_versions_are_counted_from_one() -> None:
    assert tuple(range(1, LATEST + 1)) == KNOWN
    assert critical(1) == ()


@pytest.mark.parametrize("version", KNOWN)
def test_a_version_has_the_critical_fields_of_the_one_before_and_at_least_one_more(version: int) -> None:
    fields = {each.json: each for each in codec.attributes(Assignment)}
    assert set(critical(version)) <= fields.keys()
    if version > 1:
        assert set(critical(version - 1)) < set(critical(version))
        assert known_fields(version) - known_fields(version - 1) == set(ADDED[version])
    # Of an older version they are absent.
    assert all(fields[name].optional for name in critical(version))


def test_an_assignment_is_read_as_it_was_written() -> None:
    assert read(DOCUMENT) == ASSIGNMENT
    assert tuple(DOCUMENT["critical"]) == critical(LATEST)


def test_an_unknown_field_that_is_not_listed_is_ignored() -> None:
    assert read(changed(hint="value", more={"nested": [1]})) == ASSIGNMENT


def test_inside_a_field_nothing_unknown_is_ignored() -> None:
    with pytest.raises(codec.Malformed, match=r"^quorum: .*'more'"):
        read(changed(quorum={**DOCUMENT["quorum"], "more": 1}))


@pytest.mark.parametrize("name", ["seal", "Image", "roundUID.", "x" * 500, "\x1b[2J"])
def test_an_unknown_field_that_is_listed_is_refused_and_named(name: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read(listing(name))
    assert refused.value.field == name


@pytest.mark.parametrize("version", [0, LATEST + 1, 2**70])
def test_an_unknown_version_is_refused_whatever_it_lists(version: int) -> None:
    for listed in ([], DOCUMENT["critical"], ["image"]):
        with pytest.raises(NotUnderstood, match="version"):
            read(changed(version=version, critical=listed))


@pytest.mark.parametrize(
    "document",
    [
        changed(version=value) for value in ("1", 1.0, True, None, [1], -1.5)
    ] + [
        changed(critical=value) for value in (None, "", "image", {"image": 1}, [1], [None], [["image"]])
    ] + [
        {key: value for key, value in DOCUMENT.items() if key != absent} for absent in ("version", "critical")
    ],
)  # fmt: skip
def test_a_version_or_a_list_of_another_type_is_malformed(document: dict[str, Any]) -> None:
    with pytest.raises(codec.Malformed, match=r"^(version|critical): "):
        read(document)


@pytest.mark.parametrize(
    "document",
    [
        listing(""),
        listing("seal", "seal"),
        changed(critical=[*DOCUMENT["critical"], *DOCUMENT["critical"], "image", "image"]),
        listing(*(f"field{number}" for number in range(versions.MOST_LISTED + 1))),
    ],
)
def test_a_list_with_an_empty_name_a_name_twice_or_too_many_is_malformed(document: dict[str, Any]) -> None:
    with pytest.raises(codec.Malformed, match=r"^critical: "):
        read(document)


def test_a_listed_field_that_is_absent_is_malformed() -> None:
    without = {key: value for key, value in DOCUMENT.items() if key != "image"}
    with pytest.raises(codec.Malformed, match=r"^image: missing"):
        read({**without, "critical": [*DOCUMENT["critical"], "image"]})


def test_a_field_of_version_1_is_not_listed() -> None:
    """One spelling: two readers never see two lists."""
    with pytest.raises(codec.Malformed, match=r"^critical: "):
        read(changed(critical=[*DOCUMENT["critical"], "image"]))


def without_columns(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in changed(**fields).items() if key != "columnsDigest"}


def test_the_latest_version_lists_columns_and_threads_and_has_them() -> None:
    assert DOCUMENT["critical"] == ["columnsDigest", "threads"]
    for listed in ([], ["columnsDigest"], ["threads", "columnsDigest"], ["columnsDigest", "columnsDigest"]):
        with pytest.raises(codec.Malformed, match=r"^critical: "):
            read(changed(critical=listed))
    with pytest.raises(codec.Malformed, match=r"^columnsDigest: missing"):
        read(without_columns())


def test_version_1_has_no_columns_whatever_it_holds() -> None:
    """So a reader of version 2 takes from it what a reader of version 1 takes."""
    for document in (without_columns(version=1, critical=[]), changed(version=1, critical=[], columnsDigest="any")):
        assert read(document) == replace(ASSIGNMENT, version=1, critical=())
    with pytest.raises(NotUnderstood, match="columnsDigest"):
        read(changed(version=1))


def test_version_1_is_written_without_the_columns() -> None:
    document = write(replace(ASSIGNMENT, version=1, critical=(), columns_digest="sha256:" + "a" * 64))
    assert "columnsDigest" not in document
    assert (document["version"], document["critical"]) == (1, [])


def test_version_2_has_columns_and_no_threads() -> None:
    older = replace(ASSIGNMENT, version=2, critical=critical(2), threads=8)
    document = write(older)
    assert (document["critical"], "threads" in document) == (["columnsDigest"], False)
    assert read(document) == read({**document, "threads": 8}) == replace(older, threads=1)


def test_nobody_writes_a_list_that_is_not_the_versions() -> None:
    for version, listed in ((1, ("columnsDigest",)), (2, ()), (2, ("columnsDigest", "image"))):
        with pytest.raises(ValueError, match=f"version {version}"):
            write(replace(ASSIGNMENT, version=version, critical=listed))


def test_nobody_writes_a_version_that_this_code_does_not_know() -> None:
    for version in (0, LATEST + 1):
        with pytest.raises(KeyError):
            critical(version)
