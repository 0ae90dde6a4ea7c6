"""Places in a Job of ours, and ways to change what stands there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Change = Callable[[Object], None]
Place = Callable[[Object], Object]

GONE: Any = object()
# What takes something away from the security that each container of ours has.
WEAKER: tuple[Object, ...] = (
    {"allowPrivilegeEscalation": True},
    {"allowPrivilegeEscalation": True, "privileged": True},
    {"readOnlyRootFilesystem": False},
    {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
    {"capabilities": {"drop": ["NET_RAW"]}},
    {"runAsUser": 0},
    {"runAsNonRoot": False},
    {"seccompProfile": {"type": "Unconfined"}},
    {"appArmorProfile": {"type": "Unconfined"}},
    {"seLinuxOptions": {"type": "spc_t"}},
)


def pod(job: Object) -> Object:
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def labels(job: Object) -> Object:
    found: Object = job["spec"]["template"]["metadata"]["labels"]
    return found


def security(job: Object) -> Object:
    found: Object = pod(job)["securityContext"]
    return found


def container(name: str) -> Place:
    def find(job: Object) -> Object:
        spec = pod(job)
        return next(each for each in spec.get("initContainers", []) + spec["containers"] if each["name"] == name)

    return find


def volume(name: str) -> Place:
    def find(job: Object) -> Object:
        found: Object = next(each for each in pod(job)["volumes"] if each["name"] == name)
        return found

    return find


def inside(place: Place, key: str) -> Place:
    def find(job: Object) -> Object:
        found: Object = place(job)[key]
        return found

    return find


def claim(name: str) -> Place:
    return inside(volume(name), "persistentVolumeClaim")


def mount(of: str, folder: str) -> Place:
    def find(job: Object) -> Object:
        mounts = container(of)(job)["volumeMounts"]
        found: Object = next(each for each in mounts if each["mountPath"] == f"/wardround/{folder}")
        return found

    return find


def launcher(of: str) -> Place:
    """Where a container after prepare has the launcher: at a place that is its task's alone."""

    def find(job: Object) -> Object:
        mounts = container(of)(job)["volumeMounts"]
        found: Object = next(each for each in mounts if each["mountPath"].startswith("/wardround-"))
        return found

    return find


def variable(name: str, of: str = "prepare") -> Place:
    """What a container is told by it."""

    def find(job: Object) -> Object:
        found: Object = next(each for each in container(of)(job)["env"] if each["name"] == name)
        return found

    return find


def sets(place: Place, changes: Object) -> Change:
    """Sets fields, or removes those that are GONE."""

    def change(job: Object) -> None:
        found = place(job)
        for key, value in changes.items():
            if value is GONE:
                found.pop(key)
            else:
                found[key] = value

    return change


def adds(place: Place, key: str, item: Object) -> Change:
    def change(job: Object) -> None:
        found = place(job)
        found[key] = [*found[key], item]

    return change


def becomes(place: Place, new: Object) -> Change:
    def change(job: Object) -> None:
        found = place(job)
        found.clear()
        found.update(new)

    return change


def template(job: Object) -> Object:
    found: Object = job["spec"]["template"]["metadata"]
    return found


def spec(job: Object) -> Object:
    found: Object = job["spec"]
    return found


def metadata(job: Object) -> Object:
    """The Job's own."""
    found: Object = job["metadata"]
    return found
