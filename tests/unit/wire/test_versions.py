"""A reader refuses an assignment that it would have to understand and does not, and ignores what it may ignore."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, get_args

import pytest

from tests.worlds.site import ASSIGNMENT
from wardround import wire
from wardround.wire import codec, versions
from wardround.wire.assignment import COMPRESSION_SINCE, LOWEST, AssignedModel, Assignment
from wardround.wire.versions import KNOWN, LATEST, NotUnderstood, critical, known_fields, read, write

DOCUMENT = write(ASSIGNMENT)


def changed(**fields: Any) -> dict[str, Any]:
    return {**DOCUMENT, **fields}


def listing(*names: Any) -> dict[str, Any]:
    """With these names more in the list, and the fields that they name."""
    return changed(critical=[*DOCUMENT["critical"], *names], **{str(each): "value" for each in names if each})


INVENTED = LATEST + 1


@dataclass(frozen=True, kw_only=True)
class Later(Assignment):
    """An assignment of an invented next version, which adds one critical field."""

    seal: str = field(default="", metadata=codec.since(INVENTED))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> int:
    """The invented version. For the test, this code knows it beside the versions that there are."""
    monkeypatch.setattr(versions, "Assignment", Later)
    monkeypatch.setattr(versions, "KNOWN", (*KNOWN, INVENTED))
    return INVENTED


def test_versions_are_counted_from_the_first() -> None:
    assert tuple(range(LOWEST, LATEST + 1)) == KNOWN
    assert critical(LOWEST) == ("pushed", "references", "release", "rows", "schema", "threads")


@pytest.mark.parametrize("version", KNOWN)
def test_a_version_has_the_critical_fields_of_the_one_before_and_at_least_one_more(version: int) -> None:
    known = {each.json: each for each in codec.attributes(Assignment)}
    assert set(critical(version)) <= known.keys()
    if version > LOWEST:
        added = known_fields(version) - known_fields(version - 1)
        assert added == set(critical(version)) - set(critical(version - 1))
        # Of an older version they are absent.
        assert added
        assert all(known[name].has_default for name in added)


def test_a_later_version_adds_its_field_and_an_older_one_is_written_and_read_without_it(later: int) -> None:
    assert critical(later) == tuple(sorted((*critical(LATEST), "seal")))
    assert known_fields(later) - known_fields(LATEST) == {"seal"}
    known: dict[str, Any] = {each.name: getattr(ASSIGNMENT, each.name) for each in fields(Assignment)}
    older = Later(**known, seal="some")
    assert "seal" not in write(older)
    newer = replace(older, version=later, critical=critical(later))
    assert read(write(newer)) == newer
    # A reader of the later version takes from an older one what a reader of that version takes.
    for document in (write(older), {**write(older), "seal": "any"}):
        assert read(document) == replace(older, seal="")
    with pytest.raises(NotUnderstood, match="seal"):
        read({**write(newer), "version": LATEST})
    without = {name: each for name, each in write(newer).items() if name != "seal"}
    with pytest.raises(codec.Malformed, match=r"^seal: missing"):
        read(without)


def test_a_reader_of_today_refuses_the_later_version_whole(later: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {each.name: getattr(ASSIGNMENT, each.name) for each in fields(Assignment)}
    document = write(Later(**known | {"version": later, "critical": critical(later)}, seal="some"))
    monkeypatch.undo()
    with pytest.raises(NotUnderstood, match="version"):
        read(document)
    with pytest.raises(NotUnderstood, match="seal"):
        read({**document, "version": LATEST})


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


@pytest.mark.parametrize("version", [0, 1, LOWEST - 1, LATEST + 1, 2**70])
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


def test_a_field_that_every_reader_knows_is_not_listed() -> None:
    """One spelling: two readers never see two lists."""
    with pytest.raises(codec.Malformed, match=r"^critical: "):
        read(changed(critical=[*DOCUMENT["critical"], "image"]))


@pytest.mark.parametrize("name", critical(LATEST))
def test_a_critical_field_is_listed_once_and_present(name: str) -> None:
    listed = [each for each in DOCUMENT["critical"] if each != name]
    for wrong in (listed, [*listed, name, name]):
        with pytest.raises(codec.Malformed, match=r"^critical: "):
            read(changed(critical=wrong))
    with pytest.raises(codec.Malformed, match=rf"^{name}: missing"):
        read({each: value for each, value in DOCUMENT.items() if each != name})


def test_nobody_writes_a_list_that_is_not_the_versions() -> None:
    for listed in ((), ("schema",), ("image", "rows", "schema")):
        with pytest.raises(ValueError, match=f"version {LATEST}"):
            write(replace(ASSIGNMENT, critical=listed))


def test_nobody_writes_a_version_that_this_code_does_not_know() -> None:
    for version in (0, 1, LOWEST - 1, LATEST + 1):
        with pytest.raises(KeyError):
            critical(version)


def test_a_site_of_an_older_version_gets_a_series_without_the_compression() -> None:
    """A site reads the inside of a field strictly, so an older site would refuse the whole assignment."""
    model = AssignedModel(
        name="m",
        uid="u",
        series=1,
        round=1,
        rounds=2,
        tasks=("Train",),
        image="",
        command=(),
        parameters={},
        schedules=(),
        frozen=(),
        metrics=(),
        quorum=ASSIGNMENT.quorum,
        evaluation_quorum=ASSIGNMENT.quorum,
        resources=ASSIGNMENT.resources,
        compression="Int8",
    )
    for version in KNOWN:
        document = write(replace(ASSIGNMENT, version=version, critical=critical(version), model=model))
        known = version >= COMPRESSION_SINCE
        assert ("compression" in document, "compression" in document["model"]) == (known, known)
        assert read(document).model == (model if known else replace(model, compression="None"))
        others = {name: each for name, each in document["model"].items() if name != "compression"}
        with pytest.raises(codec.Malformed, match=r"^model"):
            read({**document, "model": others if known else others | {"compression": "Int8"}})


def _with_versions(cls: type) -> bool:
    """Whether the dataclass, or one that it holds, has a field that belongs to some versions."""
    inner = {each for one in codec.attributes(cls) for each in _dataclasses_of(one.annotation)}
    return any(one.since is not None for one in codec.attributes(cls)) or any(map(_with_versions, inner))


def _dataclasses_of(annotation: Any) -> set[type]:
    if is_dataclass(annotation) and isinstance(annotation, type):
        return {annotation}
    return {each for argument in get_args(annotation) for each in _dataclasses_of(argument)}


def test_no_other_document_holds_one_that_has_versions() -> None:
    """It would have to name the version of what it holds. PreparedPrediction holds the document of a card instead."""
    modules = [import_module(f"{wire.__name__}.{each.name}") for each in iter_modules(wire.__path__)]
    kinds = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    documents = {each for each in kinds if is_dataclass(each) and each.__module__.startswith(wire.__name__)}
    with_versions = {each.__name__ for each in documents if _with_versions(each)}
    # AssignedSeries is no document: its fields are fields of an Assignment.
    assert with_versions == {"Assignment", "AssignedModel", "AssignedSeries", "ModelCard"}
