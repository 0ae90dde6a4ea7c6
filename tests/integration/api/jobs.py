"""Places in a training Job, and changes of the fields at a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Change = Callable[[Object], None]
Place = Callable[[Object], Object]

GONE: Any = object()
# Each setting weakens the securityContext that each container of a training pod has.
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
    result: Object = job["spec"]["template"]["metadata"]["labels"]
    return result


def security(job: Object) -> Object:
    context: Object = pod(job)["securityContext"]
    return context


def container(name: str) -> Place:
    def find(job: Object) -> Object:
        spec = pod(job)
        return next(each for each in spec.get("initContainers", []) + spec["containers"] if each["name"] == name)

    return find


def volume(name: str) -> Place:
    def find(job: Object) -> Object:
        item: Object = next(each for each in pod(job)["volumes"] if each["name"] == name)
        return item

    return find


def inside(place: Place, key: str) -> Place:
    def find(job: Object) -> Object:
        value: Object = place(job)[key]
        return value

    return find


def claim(name: str) -> Place:
    return inside(volume(name), "persistentVolumeClaim")


def mount(container_name: str, folder: str) -> Place:
    def find(job: Object) -> Object:
        mounts = container(container_name)(job)["volumeMounts"]
        item: Object = next(each for each in mounts if each["mountPath"] == f"/wardround/{folder}")
        return item

    return find


def launcher(container_name: str) -> Place:
    """A container's mount of the launcher. The mount's path contains the task's UID."""

    def find(job: Object) -> Object:
        mounts = container(container_name)(job)["volumeMounts"]
        item: Object = next(each for each in mounts if each["mountPath"].startswith("/wardround-"))
        return item

    return find


def variable(name: str, container_name: str = "prepare") -> Place:
    """An environment variable of a container."""

    def find(job: Object) -> Object:
        item: Object = next(each for each in container(container_name)(job)["env"] if each["name"] == name)
        return item

    return find


def sets(place: Place, changes: Object) -> Change:
    """Sets the fields at a place. The value GONE removes a field."""

    def change(job: Object) -> None:
        target = place(job)
        for key, value in changes.items():
            if value is GONE:
                target.pop(key)
            else:
                target[key] = value

    return change


def adds(place: Place, key: str, item: Object) -> Change:
    def change(job: Object) -> None:
        target = place(job)
        target[key] = [*target.get(key, []), item]

    return change


def becomes(place: Place, new: Object) -> Change:
    def change(job: Object) -> None:
        target = place(job)
        target.clear()
        target.update(new)

    return change


def template(job: Object) -> Object:
    result: Object = job["spec"]["template"]["metadata"]
    return result


def spec(job: Object) -> Object:
    result: Object = job["spec"]
    return result


def metadata(job: Object) -> Object:
    """The metadata of the Job itself."""
    result: Object = job["metadata"]
    return result
