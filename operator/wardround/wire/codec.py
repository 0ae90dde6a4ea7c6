"""Turns frozen dataclasses into JSON and back. The types are the only schema.

There are two kinds of JSON:

- An *object* comes from the API server. Unknown fields are ignored, so that newer versions can be read. As in
  Kubernetes, null means absent, and None is left out.
- A *document* is our own. Every field without a default is required, an unknown field is refused, None is null, and
  integers are from 0 to 2^63-1.

A document may have versions. A field with the metadata `since(N)` belongs to the versions from N on. There it is always
written and required. In a lower version it is unknown, and a reader takes its default. The version is an argument of
all functions that read or write such a document.

Names are camelCase in JSON. As in Kubernetes, `uid` and `url` are in capitals unless they come first. Bytes are base64.
A text of type `Annotated[str, Text(...)]` must match its pattern. Every fault raises Malformed, which names the field.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, is_dataclass
from datetime import date
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from wardround.wire import canonical

T = TypeVar("T")
INITIALISMS = {"uid": "UID", "url": "URL"}
LARGEST_INTEGER = 2**63 - 1
SINCE = "since"
LONGEST_SHOWN = 64


class Malformed(ValueError):
    """A field is missing, unknown or of the wrong type. `place`: the field. The message quotes no value."""

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")
        self.place = place


@dataclass(frozen=True)
class Text:
    """A constraint: the whole text matches `pattern`, and has at most `longest` characters."""

    pattern: str
    longest: int

    def matches(self, text: str) -> bool:
        return len(text) <= self.longest and re.fullmatch(self.pattern, text, re.ASCII) is not None


@dataclass(frozen=True)
class Form:
    """Which of the two kinds of JSON a value has, and which version. `closed`: a document, and not an object."""

    closed: bool
    version: int | None = None


OBJECT = Form(closed=False)


@dataclass(frozen=True)
class Attribute:
    """A dataclass field and its name in JSON."""

    field: Field[Any]
    json: str
    annotation: Any

    @property
    def has_default(self) -> bool:
        return self.field.default is not MISSING or self.field.default_factory is not MISSING

    @property
    def since(self) -> int | None:
        """The first version of the document that has the field; None if every version has it."""
        return self.field.metadata.get(SINCE)

    @property
    def optional(self) -> bool:
        """Whether a document that has the field may leave it out."""
        return self.has_default and self.since is None

    def belongs_to(self, version: int | None) -> bool:
        """Whether a document of this version has the field. Raises TypeError for a field that belongs to some versions
        if the caller names none: a reader of the version would refuse the document."""
        if self.since is None:
            return True
        if version is None:
            raise TypeError(f"{self.json} belongs to some versions of the document, so the caller has to name one")
        return self.since <= version


def since(version: int) -> Mapping[str, Any]:
    """Metadata of a field that documents have from this version on. Unless it is their lowest, the field needs a
    default, which is what documents of lower versions mean."""
    return {SINCE: version}


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
    """Parse an object as `cls`. `where`: the object's place, for error messages. Raises Malformed."""
    return _parse(cls, value, where, OBJECT)


def dump(value: Any) -> Any:
    """Return the object of a dataclass."""
    return _dump(value, OBJECT)


def parse_document(cls: type[T], value: object, where: str = "", version: int | None = None) -> T:
    """Parse a document as `cls`. `where`: the document's place, for error messages. `version`: of the document, None if
    it has no versions. Raises Malformed."""
    return _parse(cls, value, where, Form(closed=True, version=version))


def dump_document(value: Any, version: int | None = None) -> dict[str, Any]:
    """Return the document of a dataclass. `version`: as of parse_document. Fields that the version does not have are
    left out, whatever their value."""
    return typing.cast(dict[str, Any], _dump(value, Form(closed=True, version=version)))


def read_document(cls: type[T], data: bytes | str, where: str = "") -> T:
    """Parse a document's text, in any spelling of JSON, as `cls`. Raises Malformed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(where or cls.__name__, "not JSON") from None
    return parse_document(cls, value, where)


def write_document(value: Any, version: int | None = None) -> bytes:
    """Return the text of a document, in canonical JSON. `version`: as of dump_document."""
    return canonical.dumps(dump_document(value, version))


class _Wrong(Exception):
    """A fault in a value, and the path to the value, innermost step first."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = [*path]

    def within(self, step: str) -> _Wrong:
        self.path.append(step)
        return self


Reader = Callable[[Any], Any]


def _parse(cls: type[T], value: object, where: str, form: Form) -> T:
    try:
        return typing.cast(T, _reader(typing.cast(Any, cls), form)(value))
    except _Wrong as wrong:
        place = (where + "".join(reversed(wrong.path))).removeprefix(".") or cls.__name__
        raise Malformed(place, wrong.problem) from None


@cache
def _reader(annotation: Any, form: Form) -> Reader:
    """The function that parses a value of this type; it raises _Wrong. Cached, because operators parse thousands of
    objects a minute."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return lambda value: value
    if origin is Annotated:
        return _text(_reader(arguments[0], form), arguments[1])
    if origin in (Union, types.UnionType):  # only ever `X | None`
        (inner,) = (each for each in arguments if each is not type(None))
        return _optional(_reader(inner, form))
    if origin is tuple:
        return _list(_reader(arguments[0], form))
    if origin in (dict, Mapping):
        return _map(_reader(arguments[0], form), _reader(arguments[1], form))
    if origin is typing.Literal:
        return _choice(arguments)
    if is_dataclass(annotation):
        return _object(annotation, form)
    return _scalar(annotation, form)


def _optional(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _list(read: Reader) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _Wrong("expected a list")
        items = []
        for each in value:
            try:
                items.append(read(each))
            except _Wrong as wrong:
                raise wrong.within(f"[{len(items)}]") from None
        return tuple(items)

    return reader


def _text(read: Reader, text: Text) -> Reader:
    def reader(value: Any) -> Any:
        if not text.matches(read(value)):
            raise _Wrong(f"expected {text.pattern} in at most {text.longest} characters")
        return value

    return reader


def _map(read_key: Reader, read: Reader) -> Reader:
    """The place of a wrong key does not hold the key, because the object's author chose it."""

    def reader(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _Wrong("expected an object")
        items = {}
        for key, each in value.items():
            name = read_key(str(key))
            try:
                items[name] = read(each)
            except _Wrong as wrong:
                raise wrong.within(f".{key}") from None
        return items

    return reader


def _choice(allowed: tuple[Any, ...]) -> Reader:
    def reader(value: Any) -> Any:
        if value not in allowed:
            raise _Wrong(f"expected one of {', '.join(map(str, allowed))}")
        return value

    return reader


def _object(cls: Any, form: Form) -> Reader:
    closed = form.closed
    known = [
        (each.field.name, each.json, _reader(each.annotation, form), each.optional if closed else each.has_default)
        for each in attributes(cls)
        if not closed or each.belongs_to(form.version)
    ]
    names = frozenset(json_name for _, json_name, _, _ in known)

    def reader(value: Any) -> Any:
        # Nearly all are dicts, and to ask an abstract class costs more than the rest.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _Wrong("expected an object")
        if closed and (unknown := sorted(value.keys() - names)):
            raise _Wrong(f"has the unknown field {unknown[0][:LONGEST_SHOWN]!a}")
        arguments: dict[str, Any] = {}
        for name, json_name, read, optional in known:
            attribute = value.get(json_name, MISSING)
            if attribute is MISSING or (attribute is None and not closed):
                if not optional:
                    raise _Wrong("missing", f".{json_name}")
                continue
            try:
                arguments[name] = read(attribute)
            except _Wrong as wrong:
                raise wrong.within(f".{json_name}") from None
        return cls(**arguments)

    return reader


def _scalar(kind: Any, form: Form) -> Reader:
    def text(value: Any) -> Any:
        if isinstance(value, bool | int | float | date):
            raise _Wrong("expected a text, which YAML needs in quotes here")
        if not isinstance(value, str):
            raise _Wrong("expected a text")
        return value

    def reader(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Wrong(f"expected {kind.__name__}")
        if form.closed and kind is int and not 0 <= value <= LARGEST_INTEGER:
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


def _dump(value: Any, form: Form) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if is_dataclass(kind):
        pairs = ((each, getattr(value, each.field.name)) for each in attributes(kind))
        return {each.json: _dump(item, form) for each, item in pairs if _has(form, each, item)}
    if isinstance(value, Mapping):
        return {key: _dump(each, form) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_dump(each, form) for each in value]
    return canonical.encode(value) if isinstance(value, bytes) else value


def _has(form: Form, attribute: Attribute, value: object) -> bool:
    """Whether JSON of this form has the field with this value."""
    return attribute.belongs_to(form.version) if form.closed else value is not None
