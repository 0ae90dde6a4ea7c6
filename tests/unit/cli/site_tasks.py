"""SiteTasks about which people decide, and hospitals with such tasks, as an API server gives them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.unit.plans_site.test_sweep_approval import member
from tests.worlds.site import ASSIGNMENT, NOW, a_task, signed
from wardround.api.times import to_seconds
from wardround.cli.cluster import Object
from wardround.cli.errors import ForbiddenError
from wardround.wire import codec
from wardround.wire.assignment import AssignedBase, AssignedDelivery, Assignment


def site_task(name: str, assignment: Assignment, status: Mapping[str, Any] | None = None) -> Object:
    changes = {each: getattr(assignment, each) for each in Assignment.__dataclass_fields__}
    made: Object = codec.dump(a_task(name, envelope=signed(**changes), status=status))
    return made


def ended(kind: str) -> Object:
    condition = {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": to_seconds(NOW)}
    return {"conditions": [condition]}


OWN = site_task("own", member(0))


def stored(made: Object) -> Object:
    """An object as the API server gives it."""
    meta = {"uid": made["metadata"]["name"], "creationTimestamp": to_seconds(NOW), "generation": 1}
    return {**made, "metadata": {**made["metadata"], **meta}}


def delivery(manifest: str = "unreadable") -> Assignment:
    model = AssignedDelivery(model_name="breast", model_uid="model-uid", version=3, keep=5, card="card")
    base = AssignedBase(manifest, b"key")
    return replace(ASSIGNMENT, task="Deliver", initial=False, base=base, parameters={}, delivery=model)


class Site:
    """A site with one task, and with DataSchemas that a person may list or not."""

    default_namespace = "hospital-a"
    server = "https://site.example"

    def __init__(self, schemas: list[Object] | None) -> None:
        self.schemas = schemas

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        return None if kind == "Site" else OWN

    def list(self, kind: str, namespace: str) -> Sequence[Object]:
        if kind == "DataSchema" and self.schemas is None:
            raise ForbiddenError("You may not list DataSchemas.")
        return {"DataSchema": self.schemas or [], "SiteTask": [OWN]}.get(kind, [])


class Deciding(Site):
    """A site with one task, about which a person decides."""

    def __init__(self, task: Object, *others: Object) -> None:
        super().__init__([])
        self.task, self.tasks = task, [task, *others]
        self.decision: Object = {}
        self.made: Sequence[Object] = ()

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        return None if kind == "Site" else self.task

    def list(self, kind: str, namespace: str) -> Sequence[Object]:
        return self.tasks if kind == "SiteTask" else []

    def create(self, item: Object) -> None:
        self.made = (*self.made, item)

    def user(self) -> str:
        return "carla"

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> None:
        self.decision = change["spec"]
