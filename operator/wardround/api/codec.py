"""Turns the API server's JSON into frozen dataclasses and back, by their annotations. Knows no kind.

Unknown fields are ignored, so that a newer API server can be read; a field of the wrong type is `Malformed`. Names are
camelCase in JSON, with `uid` and `url` in capitals unless they come first, as Kubernetes has it.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
INITIALISMS = {"uid": "UID", "url": "URL"}


class Malformed(ValueError):
    """A field that is missing or of the wrong type; says which."""


@dataclass(frozen=True)
class Attribute:
    """A dataclass field and the name that it has in JSON."""

    field: Field[Any]
    json: str
    annotation: Any


def json_name(name: str) -> str:
    """`round_uid` is `roundUID` in JSON."""
    first, *others = name.split("_")
    return first + "".join(INITIALISMS.get(word, word.capitalize()) for word in others)


@cache
def attributes(cls: Any) -> tuple[Attribute, ...]:
    """The attributes of a dataclass, in order. `field(metadata={"json": name})` overrides a name."""
    hints = get_type_hints(cls)
    return tuple(Attribute(f, f.metadata.get("json", json_name(f.name)), hints[f.name]) for f in fields(cls))


def parse(cls: type[T], value: object, where: str = "") -> T:
    """Reads a `cls` from JSON; `where` names the place in error messages."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{where or cls.__name__}: expected an object")
    arguments: dict[str, Any] = {}
    for attribute in attributes(typing.cast(Any, cls)):
        found = value.get(attribute.json)
        place = f"{where}.{attribute.json}" if where else attribute.json
        if found is not None:
            arguments[attribute.field.name] = _value(attribute.annotation, found, place)
        elif attribute.field.default is MISSING and attribute.field.default_factory is MISSING:
            raise Malformed(f"{place}: missing")
    return cls(**arguments)


def _value(annotation: Any, value: Any, where: str) -> Any:
    origin = get_origin(annotation)
    if annotation is Any:
        return value
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in get_args(annotation) if each is not type(None))
        return _value(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise Malformed(f"{where}: expected a list")
        return tuple(_value(get_args(annotation)[0], each, f"{where}[{i}]") for i, each in enumerate(value))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise Malformed(f"{where}: expected an object")
        return {str(key): _value(get_args(annotation)[1], each, f"{where}.{key}") for key, each in value.items()}
    if origin is typing.Literal:
        if value not in get_args(annotation):
            raise Malformed(f"{where}: expected one of {', '.join(map(str, get_args(annotation)))}")
        return value
    if is_dataclass(annotation):
        return parse(typing.cast(type[Any], annotation), value, where)
    if not isinstance(value, annotation) or (annotation is int and isinstance(value, bool)):
        raise Malformed(f"{where}: expected {annotation.__name__}")
    return value


def dump(value: Any) -> Any:
    """The JSON of a dataclass. What is None is left out: absence is how Kubernetes writes it."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((each.json, getattr(value, each.field.name)) for each in attributes(type(value)))
        return {name: dump(each) for name, each in pairs if each is not None}
    if isinstance(value, Mapping):
        return {key: dump(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [dump(each) for each in value]
    return value
