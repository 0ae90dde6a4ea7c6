"""Turns frozen dataclasses into JSON and back. The types are the schema, and there is no second one.

Two kinds of JSON are read and written:

- An *object* is the API server's. Unknown fields are ignored, so that a newer API server can be read. Null is absence,
  and None is left out, as Kubernetes does it.
- A *document* is ours. Every field without a default has to be there, an unknown field is refused, None is null,
  and integers are from 0 to 2^63-1.

Names are camelCase in JSON, with `uid` and `url` in capitals unless they come first, as Kubernetes has it. Bytes are
base64. Whatever is wrong raises Malformed, which names the field.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from wardround.wire import canonical

T = TypeVar("T")
INITIALISMS = {"uid": "UID", "url": "URL"}
LARGEST_INTEGER = 2**63 - 1
LONGEST_SHOWN = 64


class Malformed(ValueError):
    """A field that is missing, unknown or of the wrong type. `place` names it; no value is quoted."""

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")
        self.place = place


@dataclass(frozen=True)
class Attribute:
    """A dataclass field and the name that it has in JSON."""

    field: Field[Any]
    json: str
    annotation: Any

    @property
    def optional(self) -> bool:
        """Whether JSON may leave it out."""
        return self.field.default is not MISSING or self.field.default_factory is not MISSING


def json_name(name: str) -> str:
    """`round_uid` is `roundUID` in JSON."""
    first, *others = name.split("_")
    return first + "".join(INITIALISMS.get(word, word.capitalize()) for word in others)


@cache
def attributes(cls: Any) -> tuple[Attribute, ...]:
    """The attributes of a dataclass, in order. `field(metadata={"json": name})` overrides a name."""
    hints = typing.get_type_hints(cls)
    return tuple(
        Attribute(f, f.metadata.get("json", json_name(f.name)), hints[f.name]) for f in dataclasses.fields(cls)
    )


def parse(cls: type[T], value: object, where: str = "") -> T:
    """Read a `cls` from an object. `where` names the place in error messages. Raises Malformed."""
    return _parse(cls, value, where, closed=False)


def dump(value: Any) -> Any:
    """Return the object of a dataclass."""
    return _dump(value, closed=False)


def parse_document(cls: type[T], value: object, where: str = "") -> T:
    """Read a `cls` from a document. `where` names the place in error messages. Raises Malformed."""
    return _parse(cls, value, where, closed=True)


def dump_document(value: Any) -> dict[str, Any]:
    """Return the document of a dataclass."""
    return typing.cast(dict[str, Any], _dump(value, closed=True))


def read_document(cls: type[T], data: bytes | str, where: str = "") -> T:
    """Read a `cls` from the text of a document, in any spelling. Raises Malformed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(where or cls.__name__, "no JSON") from None
    return parse_document(cls, value, where)


def write_document(value: Any) -> bytes:
    """Return the text of a document, in canonical JSON."""
    return canonical.dumps(dump_document(value))


def _parse(cls: type[T], value: object, where: str, *, closed: bool) -> T:
    if not isinstance(value, Mapping):
        raise Malformed(where or cls.__name__, "expected an object")
    known = attributes(typing.cast(Any, cls))
    if closed and (unknown := sorted(value.keys() - {each.json for each in known})):
        raise Malformed(where or cls.__name__, f"has the unknown field {unknown[0][:LONGEST_SHOWN]!a}")
    arguments: dict[str, Any] = {}
    for attribute in known:
        place = f"{where}.{attribute.json}" if where else attribute.json
        absent = attribute.json not in value if closed else value.get(attribute.json) is None
        if not absent:
            arguments[attribute.field.name] = _value(attribute.annotation, value[attribute.json], place, closed=closed)
        elif not attribute.optional:
            raise Malformed(place, "missing")
    return cls(**arguments)


def _value(annotation: Any, value: Any, where: str, *, closed: bool) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if origin in (Union, types.UnionType):  # only ever `X | None`
        (inner,) = (each for each in arguments if each is not type(None))
        return None if value is None else _value(inner, value, where, closed=closed)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise Malformed(where, "expected a list")
        return tuple(_value(arguments[0], each, f"{where}[{i}]", closed=closed) for i, each in enumerate(value))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise Malformed(where, "expected an object")
        return {str(key): _value(arguments[1], each, f"{where}.{key}", closed=closed) for key, each in value.items()}
    if origin is typing.Literal:
        if value not in arguments:
            raise Malformed(where, f"expected one of {', '.join(map(str, arguments))}")
        return value
    if is_dataclass(annotation):
        return _parse(typing.cast(type[Any], annotation), value, where, closed=closed)
    return _scalar(annotation, value, where, closed=closed)


def _scalar(annotation: Any, value: Any, where: str, *, closed: bool) -> Any:
    if annotation is bytes and isinstance(value, str):
        try:
            return canonical.decode(value)
        except ValueError:
            raise Malformed(where, "expected base64") from None
    if not isinstance(value, annotation) or (annotation is int and isinstance(value, bool)):
        raise Malformed(where, f"expected {annotation.__name__}")
    if closed and annotation is int and not 0 <= value <= LARGEST_INTEGER:
        raise Malformed(where, f"expected an integer from 0 to {LARGEST_INTEGER}")
    return value


def _dump(value: Any, *, closed: bool) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((each.json, getattr(value, each.field.name)) for each in attributes(type(value)))
        return {name: _dump(each, closed=closed) for name, each in pairs if closed or each is not None}
    if isinstance(value, Mapping):
        return {key: _dump(each, closed=closed) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_dump(each, closed=closed) for each in value]
    return canonical.encode(value) if isinstance(value, bytes) else value
