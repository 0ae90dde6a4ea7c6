"""Turns frozen dataclasses into JSON objects and back, strictly: types are the schema, and there is no second one.

Fields are spelt in camelCase (`round_uid` is `roundUID`). Text, integers from 0 to 2^63-1, booleans, bytes (base64),
lists, maps with text keys, nested dataclasses and `None` where the type says so; unknown, missing and ill-typed
fields are refused. A field with a default may be absent.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from wardround.sealing import canonical
from wardround.sealing.refused import Refused

T = TypeVar("T")
LARGEST_INTEGER = 2**63 - 1


def dump(value: Any) -> dict[str, Any]:
    """Return the dataclass as a JSON object."""
    return {name: _dump(getattr(value, field.name)) for name, field, _ in _schema(type(value))}


def parse(cls: type[T], value: object, reason: str) -> T:
    """Return `value`, a JSON object, as an instance of the dataclass `cls`, or raise Refused(reason)."""
    if not isinstance(value, Mapping):
        raise Refused(reason)
    known: dict[str, Any] = {}
    fields = _schema(cls)
    if not value.keys() <= {name for name, _, _ in fields}:
        raise Refused(reason)
    for name, field, kind in fields:
        if name in value:
            known[field.name] = _parse(kind, value[name], reason)
        elif field.default is dataclasses.MISSING:
            raise Refused(reason)
    return cls(**known)


def _schema(cls: type[Any]) -> list[tuple[str, dataclasses.Field[Any], Any]]:
    kinds = typing.get_type_hints(cls)
    return [(_spell(field.name), field, kinds[field.name]) for field in dataclasses.fields(cls)]


def _spell(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join("UID" if word == "uid" else word.capitalize() for word in rest)


def _dump(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, bytes):
        return canonical.encode(value)
    if isinstance(value, Mapping):
        return {key: _dump(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    return value


def _parse(kind: Any, value: Any, reason: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # only ever `X | None`
        return None if value is None else _parse(arguments[0], value, reason)
    if origin is tuple and isinstance(value, list):
        return tuple(_parse(arguments[0], item, reason) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {_parse(str, key, reason): _parse(arguments[1], item, reason) for key, item in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return parse(kind, value, reason)
    if kind is bytes and isinstance(value, str):
        return canonical.decode(value, reason)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_INTEGER:
        return value
    if kind is str and isinstance(value, str):
        return value
    raise Refused(reason)
