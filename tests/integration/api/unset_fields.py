"""Every field of an object that the API server knows and the object does not set, each with a valid value.

The fields come from the server's OpenAPI document, so the tests cover new fields of a later Kubernetes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.api.apiserver import Api

Object = dict[str, Any]
Path = tuple[str | int, ...]
QUANTITY, TIME, TEXT_OR_NUMBER = "resource.Quantity", "meta.v1.Time", "intstr.IntOrString"


@dataclass(frozen=True)
class Unset:
    """An unset field. `value` fits the field's type."""

    path: Path
    value: Any

    @property
    def name(self) -> str:
        return ".".join(str(each) for each in self.path if not isinstance(each, int))

    def set_in(self, obj: Object) -> Object:
        """Returns a copy of the object with the field."""
        changed = copy.deepcopy(obj)
        parent = value_at(changed, self.path[:-1])
        parent[self.path[-1]] = copy.deepcopy(self.value)
        return changed


def value_at(obj: Any, path: Path) -> Any:
    """Returns the value at a path, or None if there is no value."""
    for each in path:
        if isinstance(obj, dict):
            obj = obj.get(each)
        elif isinstance(obj, list) and isinstance(each, int) and each < len(obj):
            obj = obj[each]
        else:
            return None
    return obj


class Schemas:
    """The schemas of one API group and version."""

    def __init__(self, api: Api, group_version: str) -> None:
        self._schemas: Object = api.call("GET", f"/openapi/v3/apis/{group_version}")["components"]["schemas"]

    def unset(self, name: str, obj: Object, values: Mapping[str, Any]) -> Iterator[Unset]:
        """Yields the unset fields of `obj`, which has the schema `name`.

        `values` has values by field name, for fields whose type alone does not determine a valid value.
        """
        yield from self._inside({"$ref": f"#/components/schemas/{name}"}, obj, (), values)

    def _inside(self, schema: Object, value: Any, path: Path, values: Mapping[str, Any]) -> Iterator[Unset]:
        schema = self._resolved(schema)
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._inside(schema["items"], each, (*path, index), values)
        elif isinstance(value, dict):
            if "additionalProperties" in schema:
                yield Unset((*path, "example.org/strange"), self._value(schema["additionalProperties"]))
            for key, its in schema.get("properties", {}).items():
                if key in value:
                    yield from self._inside(its, value[key], (*path, key), values)
                else:
                    yield Unset((*path, key), values[key] if key in values else self._value(its))

    def _resolved(self, schema: Object) -> Object:
        [reference] = [each["$ref"] for each in schema.get("allOf", [])] or [schema.get("$ref")]
        if reference is None:
            return schema
        name = reference.rpartition("/")[2]
        resolved: Object = {"name": name, **self._schemas[name]}
        return resolved

    def _value(self, schema: Object) -> Any:
        schema = self._resolved(schema)
        name = schema.get("name", "")
        if name.endswith((QUANTITY, TEXT_OR_NUMBER)):
            return "1"
        if name.endswith(TIME):
            return "2026-01-01T00:00:00Z"
        match schema.get("type"):
            case "string":
                return "x"
            case "boolean":
                return True
            case "integer":
                return 1
            case "array":
                return [self._value(schema["items"])]
            case _:
                required = schema.get("required", [])
                return {key: self._value(its) for key, its in schema.get("properties", {}).items() if key in required}
