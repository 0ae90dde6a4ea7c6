"""Turns frozen dataclasses into JSON and back. The types are the schema, and there is no second one.

Two kinds of JSON are read and written:

- An *object* is the API server's. Unknown fields are ignored, so that a newer API server can be read. Null is absence,
  and None is left out, as Kubernetes does it.
- A *document* is ours. Every field without a default has to be there, an unknown field is refused, None is null,
  and integers are from 0 to 2^63-1.

Names are camelCase in JSON, with `uid` and `url` in capitals unless they come first, as Kubernetes has it. Bytes are
base64. A text that is `Annotated[str, Text(...)]` has to match, as the CRDs' texts do. Whatever is wrong raises
Malformed, which names the field.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

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
class Text:
    """What a text has to be: the whole of it matches `pattern`, in at most so many characters."""

    pattern: str
    longest: int

    def matches(self, text: str) -> bool:
        return len(text) <= self.longest and re.fullmatch(self.pattern, text, re.ASCII) is not None


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
    hints = typing.get_type_hints(cls, include_extras=True)
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


class _Wrong(Exception):
    """What is wrong with a value, and the way to it, innermost step first. The place is spelt only where one is."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = [*path]

    def within(self, step: str) -> _Wrong:
        self.path.append(step)
        return self


Reader = Callable[[Any], Any]


def _parse(cls: type[T], value: object, where: str, *, closed: bool) -> T:
    try:
        return typing.cast(T, _reader(typing.cast(Any, cls), closed)(value))
    except _Wrong as wrong:
        place = (where + "".join(reversed(wrong.path))).removeprefix(".") or cls.__name__
        raise Malformed(place, wrong.problem) from None


@cache
def _reader(annotation: Any, closed: bool) -> Reader:
    """What reads a value of this type, made once: operators read thousands of objects a minute. It raises _Wrong."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return lambda value: value
    if origin is Annotated:
        return _text(_reader(arguments[0], closed), arguments[1])
    if origin in (Union, types.UnionType):  # only ever `X | None`
        (inner,) = (each for each in arguments if each is not type(None))
        return _optional(_reader(inner, closed))
    if origin is tuple:
        return _list(_reader(arguments[0], closed))
    if origin in (dict, Mapping):
        return _map(_reader(arguments[0], closed), _reader(arguments[1], closed))
    if origin is typing.Literal:
        return _choice(arguments)
    if is_dataclass(annotation):
        return _object(annotation, closed)
    return _scalar(annotation, closed)


def _optional(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _list(read: Reader) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _Wrong("expected a list")
        found = []
        for each in value:
            try:
                found.append(read(each))
            except _Wrong as wrong:
                raise wrong.within(f"[{len(found)}]") from None
        return tuple(found)

    return reader


def _text(read: Reader, text: Text) -> Reader:
    def reader(value: Any) -> Any:
        if not text.matches(read(value)):
            raise _Wrong(f"expected {text.pattern} in at most {text.longest} characters")
        return value

    return reader


def _map(read_key: Reader, read: Reader) -> Reader:
    """A key that is wrong is not part of the place: whoever wrote the object chose it."""

    def reader(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _Wrong("expected an object")
        found = {}
        for key, each in value.items():
            name = read_key(str(key))
            try:
                found[name] = read(each)
            except _Wrong as wrong:
                raise wrong.within(f".{key}") from None
        return found

    return reader


def _choice(allowed: tuple[Any, ...]) -> Reader:
    def reader(value: Any) -> Any:
        if value not in allowed:
            raise _Wrong(f"expected one of {', '.join(map(str, allowed))}")
        return value

    return reader


def _object(cls: Any, closed: bool) -> Reader:
    known = [(each.field.name, each.json, _reader(each.annotation, closed), each.optional) for each in attributes(cls)]
    names = frozenset(json_name for _, json_name, _, _ in known)

    def reader(value: Any) -> Any:
        # Nearly all are dicts, and to ask an abstract class costs more than the rest.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _Wrong("expected an object")
        if closed and (unknown := sorted(value.keys() - names)):
            raise _Wrong(f"has the unknown field {unknown[0][:LONGEST_SHOWN]!a}")
        arguments: dict[str, Any] = {}
        for name, json_name, read, optional in known:
            found = value.get(json_name, MISSING)
            if found is MISSING or (found is None and not closed):
                if not optional:
                    raise _Wrong("missing", f".{json_name}")
                continue
            try:
                arguments[name] = read(found)
            except _Wrong as wrong:
                raise wrong.within(f".{json_name}") from None
        return cls(**arguments)

    return reader


def _scalar(kind: Any, closed: bool) -> Reader:
    def text(value: Any) -> Any:
        if not isinstance(value, str):
            raise _Wrong("expected str")
        return value

    def reader(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Wrong(f"expected {kind.__name__}")
        if closed and kind is int and not 0 <= value <= LARGEST_INTEGER:
            raise _Wrong(f"expected an integer from 0 to {LARGEST_INTEGER}")
        return value

    def decoded(value: Any) -> Any:
        if not isinstance(value, str):
            return reader(value)
        try:
            return canonical.decode(value)
        except ValueError:
            raise _Wrong("expected base64") from None

    if kind is bytes:
        return decoded
    return text if kind is str else reader


# What is in JSON as it is here.
_PLAIN = frozenset({str, int, bool, float, type(None)})


def _dump(value: Any, *, closed: bool) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if is_dataclass(kind):
        pairs = ((each.json, getattr(value, each.field.name)) for each in attributes(kind))
        return {name: _dump(each, closed=closed) for name, each in pairs if closed or each is not None}
    if isinstance(value, Mapping):
        return {key: _dump(each, closed=closed) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_dump(each, closed=closed) for each in value]
    return canonical.encode(value) if isinstance(value, bytes) else value
