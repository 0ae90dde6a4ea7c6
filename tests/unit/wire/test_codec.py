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
class Grown:
    count: int = 0
    unit: str = field(default="mm", metadata=codec.LATER)


def test_a_document_leaves_out_a_later_field_with_its_default() -> None:
    assert codec.dump_document(Grown()) == {"count": 0}
    assert codec.dump_document(Grown(unit="cm")) == {"count": 0, "unit": "cm"}
    for document in ({"count": 0}, {"count": 0, "unit": "mm"}):
        assert codec.parse_document(Grown, document) == Grown()


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
