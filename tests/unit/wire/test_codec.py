"""The codec ignores unknown fields in objects of the API server, and refuses them in our own documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from wardround.wire import canonical, codec


@dataclass(frozen=True)
class Part:
    round_uid: str
    proxy_url: str = ""


@dataclass(frozen=True)
class Whole:
    count: int
    sure: bool
    key: bytes
    kind: Literal["A", "B"]
    parts: tuple[Part, ...]
    named: Mapping[str, int]
    seed: int | None
    part_class: str = field(default="", metadata={"json": "class"})


@dataclass(frozen=True)
class Open:
    round_uid: str
    seed: int | None = None
    items: tuple[str, ...] = ()


WHOLE = Whole(
    count=2, sure=True, key=b"\x00\xff", kind="A", parts=(Part("u"),), named={"a": 1}, seed=None, part_class="x"
)
DOCUMENT: dict[str, Any] = {
    "count": 2,
    "sure": True,
    "key": "AP8=",
    "kind": "A",
    "parts": [{"roundUID": "u", "proxyURL": ""}],
    "named": {"a": 1},
    "seed": None,
    "class": "x",
}


def test_a_written_document_is_canonical_and_reads_back_equal() -> None:
    assert codec.dump_document(WHOLE) == DOCUMENT
    text = codec.write_document(WHOLE)
    assert text == canonical.dumps(DOCUMENT)
    assert codec.read_document(Whole, text) == WHOLE


@dataclass(frozen=True)
class Measure:
    count: int
    unit: str = field(default="mm", metadata=codec.since(2))


@dataclass(frozen=True)
class Grown:
    length: Measure
    scale: int = field(default=1, metadata=codec.since(3))


FIRST: dict[str, Any] = {"length": {"count": 4}}
SECOND: dict[str, Any] = {"length": {"count": 4, "unit": "cm"}}
THIRD: dict[str, Any] = SECOND | {"scale": 7}


def test_a_document_has_the_fields_of_its_version_at_every_depth() -> None:
    grown = Grown(Measure(4, "cm"), 7)
    assert [codec.dump_document(grown, version) for version in (1, 2, 3, 4)] == [FIRST, SECOND, THIRD, THIRD]
    assert codec.parse_document(Grown, FIRST, version=1) == Grown(Measure(4))
    assert codec.parse_document(Grown, SECOND, version=2) == Grown(Measure(4, "cm"))
    assert codec.parse_document(Grown, THIRD, version=3) == grown


@pytest.mark.parametrize(
    ("document", "version", "fault"),
    [
        (SECOND, 1, "length: has the unknown field 'unit'"),
        (FIRST, 2, "length.unit: missing"),
        (THIRD, 2, "Grown: has the unknown field 'scale'"),
        (SECOND, 3, "scale: missing"),
    ],
)
def test_a_field_is_unknown_before_its_version_and_required_from_then_on(
    document: dict[str, Any], version: int, fault: str
) -> None:
    with pytest.raises(codec.Malformed, match=f"^{fault}$"):
        codec.parse_document(Grown, document, version=version)


def test_nobody_writes_or_reads_a_document_with_versions_without_naming_one() -> None:
    """A reader of a lower version would refuse the fields of a later one."""
    with pytest.raises(TypeError, match="unit belongs to some versions"):
        codec.dump_document(Grown(Measure(4)))
    with pytest.raises(TypeError, match="unit belongs to some versions"):
        codec.parse_document(Grown, FIRST)


def test_an_object_has_no_versions() -> None:
    assert codec.dump(Grown(Measure(4))) == {"length": {"count": 4, "unit": "mm"}, "scale": 1}
    assert codec.parse(Grown, FIRST) == Grown(Measure(4))


def test_an_object_leaves_out_none_and_ignores_unknown_fields() -> None:
    assert codec.dump(Open("u")) == {"roundUID": "u", "items": []}
    assert codec.parse(Open, {"roundUID": "u", "seed": None, "items": None, "later": 1}) == Open("u")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"later": 1}, "task: has the unknown field 'later'"),
        ({"\x1b[2J": 1}, r"task: has the unknown field '\\x1b\[2J'"),
        ({"parts": [{"roundUID": "u", "more": 1}]}, r"task.parts\[0\]: has the unknown field 'more'"),
        ({"parts": [{}]}, r"task.parts\[0\].roundUID: missing"),
        ({"parts": {}}, "task.parts: expected a list"),
        ({"count": "2"}, "task.count: expected int"),
        ({"count": True}, "task.count: expected int"),
        ({"count": -1}, "task.count: expected an integer from 0"),
        ({"count": 2**63}, "task.count: expected an integer from 0"),
        ({"count": None}, "task.count: expected int"),
        ({"sure": 1}, "task.sure: expected bool"),
        ({"key": "AP8"}, "task.key: expected base64"),
        ({"key": "AP9="}, "task.key: expected base64"),
        ({"key": 1}, "task.key: expected bytes"),
        ({"kind": "C"}, "task.kind: expected one of A, B"),
        ({"kind": []}, "task.kind: expected one of A, B"),
        ({"named": {"a": "1"}}, "task.named.a: expected int"),
        ({"named": []}, "task.named: expected an object"),
        ({"class": None}, "task.class: expected a text"),
        ({"class": 0.2}, "task.class: expected a text, which YAML needs in quotes here"),
        ({"class": False}, "task.class: expected a text, which YAML needs in quotes here"),
    ],
)
def test_a_faulty_document_is_refused_and_the_error_names_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(codec.Malformed, match=message):
        codec.parse_document(Whole, {**DOCUMENT, **change}, "task")


@pytest.mark.parametrize("name", [name for name in DOCUMENT if name != "class"])
def test_a_document_without_a_required_field_is_refused(name: str) -> None:
    with pytest.raises(codec.Malformed, match=f"{name}: missing"):
        codec.parse_document(Whole, {key: value for key, value in DOCUMENT.items() if key != name})


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\ud800", "[" * 100_000, "9" * 5000, b"\xff"])
def test_text_that_is_not_a_document_is_malformed(text: str | bytes) -> None:
    with pytest.raises(codec.Malformed, match="Whole"):
        codec.read_document(Whole, text)


@pytest.mark.parametrize("text", ["AP8", "AP9=", "AP8=\n", "AP8=AP8=", "-_8=", "é"])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError):
        canonical.decode(text)


def test_canonical_json_has_no_floats() -> None:
    with pytest.raises(TypeError):
        canonical.dumps({"a": [0.5]})
    with pytest.raises(ValueError):
        canonical.loads(b'{"a":0.5}')
