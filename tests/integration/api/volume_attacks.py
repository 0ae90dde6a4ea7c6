"""Attacks on the admission policies of the training pod: changes of volumes and mounts."""

from __future__ import annotations

from tests.integration.api.attack import (
    ANOTHER_ROUND,
    ANOTHER_TASK,
    CHECKPOINT,
    CHECKPOINTS,
    CLAIMS,
    LAUNCHER,
    LEFT,
    LIST,
    LISTED,
    MODELS,
    MOUNTS,
    PREPARED,
    RAW,
    READ,
    ROUND,
    SECRETS,
    SIZES,
    SOURCES,
    STATES,
    UID,
    UNKNOWN_OF_VOLUMES,
    UPDATE,
    VOLUMES,
    Attack,
    sees_the_raw_dataset_as_the_view,
)
from tests.integration.api.jobs import (
    GONE,
    adds,
    becomes,
    claim,
    container,
    inside,
    labels,
    launcher,
    mount,
    pod,
    sets,
    volume,
)

VOLUME = [
    *(
        Attack(f"{name} holds {setting}", SIZES, sets(inside(volume(name), "emptyDir"), setting), "train-initial")
        for name in ("memory", "out", "scratch", "initial")
        for setting in ({"sizeLimit": GONE}, {"sizeLimit": "17Gi"})
    ),
    *(
        Attack(f"{name} is in memory", SIZES, sets(inside(volume(name), "emptyDir"), {"medium": "Memory"}))
        for name in ("out", "scratch")
    ),
    Attack(
        "mounts recursively",
        UNKNOWN_OF_VOLUMES,
        sets(mount("train", "data"), {"recursiveReadOnly": "IfPossible"}),
    ),
    *(
        Attack(f"brings the volume {source}", VOLUMES, adds(pod, "volumes", {"name": "more", **source}))
        for source in (
            {"secret": {"secretName": "courier-keys"}},
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"hostPath": {"path": "/"}},
            {"configMap": {"name": "courier-pins"}},
            {"persistentVolumeClaim": {"claimName": "other"}},
        )
    ),
    *(
        Attack(
            f"{name} is a Secret",
            SOURCES,
            becomes(volume(name), {"name": name, "secret": {"secretName": "courier-keys"}}),
        )
        for name in ("dataset", "memory", "out", "workspace")
    ),
    Attack("keeps the view on a disk", "medium Memory", sets(inside(volume("memory"), "emptyDir"), {"medium": GONE})),
    *(
        Attack(f"{name} is the dataset", CLAIMS, sets(claim(name), {"claimName": "breast-data"}))
        for name in ("workspace", "state")
    ),
    *(
        Attack(f"the dataset is {name}", CLAIMS, sets(claim("dataset"), {"claimName": name}))
        for name in ("workspace", "state", "models")
    ),
    # The courier carries what is on the claim of models out of the hospital's data pods, if one of them can write it.
    *(
        Attack(f"writes models as its {name}", CLAIMS, sets(claim(name), {"claimName": "models"}))
        for name in ("workspace", "state")
    ),
    Attack("writes models as its output", SOURCES, becomes(volume("out"), {"name": "out", **MODELS})),
    Attack("has a volume of models", VOLUMES, adds(pod, "volumes", {"name": "models", **MODELS})),
    Attack("can write the dataset", CLAIMS, sets(claim("dataset"), {"readOnly": GONE})),
    *(
        Attack(f"{name} mounts the raw dataset", MOUNTS, adds(container(name), "volumeMounts", RAW), case)
        for name, case in (
            ("train", "train"),
            ("check", "train"),
            ("train", "statistics"),
            ("train", "evaluate"),
            ("init", "train-initial"),
        )
    ),
    Attack("isolation mounts the raw dataset", MOUNTS, sets(container("isolation"), {"volumeMounts": [RAW]})),
    Attack("prepare writes the raw dataset", MOUNTS, sets(mount("prepare", "raw"), {"readOnly": GONE})),
    Attack("train sees the raw dataset as the view", MOUNTS, sees_the_raw_dataset_as_the_view),
    Attack("train sees the labels", MOUNTS, sets(mount("train", "data"), {"subPath": "private"})),
    Attack("train sees all that is in memory", MOUNTS, sets(mount("train", "data"), {"subPath": GONE})),
    Attack("train writes the view", MOUNTS, sets(mount("train", "data"), {"readOnly": GONE})),
    *(
        Attack(f"{name} writes the launcher", MOUNTS, sets(launcher(name), {"readOnly": GONE}), case)
        for name, case in (
            *(("train", case) for case in ("train", "statistics", "evaluate")),
            *(("init", "train-initial"), ("check", "train"), ("check", "evaluate")),
        )
    ),
    *(
        Attack(f"{name} brings a launcher in {source}", MOUNTS, becomes(launcher(name), {**LAUNCHER, **source}))
        for name in ("train", "check")
        for source in ({"name": "scratch"}, {"name": "out", "subPath": "launcher"}, {"subPath": "task"})
    ),
    *(
        Attack(f"{name} has the launcher at {place}", MOUNTS, sets(launcher(name), {"mountPath": place}), case)
        for name, case in (("train", "train"), ("train", "statistics"), ("init", "train-initial"), ("check", "train"))
        for place in PREPARED
    ),
    *(
        Attack(
            f"train is started by what lies at {place}",
            LISTED,
            sets(container("train"), {"command": [f"{place}/launch", "--", *LIST, "train"]}),
        )
        for place in PREPARED
    ),
    Attack("prepare leaves no launcher", MOUNTS, sets(mount("prepare", "launcher"), {"subPath": "private/launcher"})),
    Attack("train writes the update", MOUNTS, adds(container("train"), "volumeMounts", UPDATE)),
    Attack("train reads another's base", MOUNTS, sets(mount("train", "base"), {"subPath": f"{ANOTHER_TASK}/in"})),
    Attack("check writes another's", MOUNTS, sets(mount("check", "update"), {"subPath": f"{ANOTHER_TASK}/update"})),
    Attack("train reads the whole state", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": GONE})),
    Attack("train reads all checkpoints", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": "checkpoints"})),
    Attack(
        "train reads another round's checkpoints",
        MOUNTS,
        sets(mount("train", "checkpoint"), {"subPath": "checkpoints/00000000-0000-0000-0000-000000000000"}),
    ),
    Attack("prepare writes the whole state", MOUNTS, sets(mount("prepare", "checkpoints"), {"subPath": GONE})),
    *(
        Attack(f"{name} mounts all checkpoints", MOUNTS, adds(container(name), "volumeMounts", CHECKPOINTS))
        for name in ("train", "check")
    ),
    Attack("prepare writes all that rounds have left", MOUNTS, sets(mount("prepare", "states"), {"subPath": GONE})),
    *(
        Attack(f"{name} mounts all states", MOUNTS, adds(container(name), "volumeMounts", STATES))
        for name in ("train", "check")
    ),
    *(
        Attack(f"{name} mounts the hospital's secrets", MOUNTS, adds(container(name), "volumeMounts", SECRETS), case)
        for case, names in (
            *(("train", ("train", "check")), ("train-initial", ("init", "train"))),
            *(("evaluate", ("train", "check")), ("statistics", ("train",))),
        )
        for name in names
    ),
    Attack(
        "isolation mounts the hospital's secrets", MOUNTS, sets(container("isolation"), {"volumeMounts": [SECRETS]})
    ),
    Attack(
        "prepare takes its secrets from elsewhere", MOUNTS, sets(mount("prepare", "secrets"), {"name": "workspace"})
    ),
    Attack("prepare leaves its secrets elsewhere", MOUNTS, sets(mount("prepare", "secrets"), {"subPath": "states"})),
    Attack("prepare makes its secrets anew", MOUNTS, sets(mount("prepare", "secrets"), {"name": "memory"})),
    Attack(
        "train sees the secrets as its checkpoint", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": "secrets"})
    ),
    Attack("train writes the state that it reads", MOUNTS, sets(mount("train", "state/in"), {"readOnly": GONE})),
    *(
        Attack(f"train reads {path!r} as its state", MOUNTS, sets(mount("train", "state/in"), {"subPath": path}))
        for path in (
            "secrets",
            "states",
            "states/",
            f"states/{UID}/x",
            f"states/{UID.upper()}",
            f"checkpoints/{UID}",
            UID,
        )
    ),
    *(
        Attack(f"train leaves its state in {path}", MOUNTS, sets(mount("train", "state/out"), {"subPath": path}))
        for path in ("secrets", "states", "states/none", f"states/{ANOTHER_ROUND}", "checkpoints")
    ),
    Attack("train reads all that is kept as its state", MOUNTS, sets(mount("train", "state/in"), {"subPath": GONE})),
    Attack("train reads a state of another volume", MOUNTS, sets(mount("train", "state/in"), {"name": "workspace"})),
    *(
        Attack(f"{case} leaves a checkpoint", MOUNTS, adds(container("train"), "volumeMounts", CHECKPOINT), case)
        for case in ("evaluate", "statistics")
    ),
    Attack("an evaluation leaves a state", MOUNTS, adds(container("train"), "volumeMounts", LEFT), "evaluate"),
    Attack("statistics reads a state", MOUNTS, adds(container("train"), "volumeMounts", READ), "statistics"),
    Attack("init reads a state", MOUNTS, adds(container("init"), "volumeMounts", READ), "train-initial"),
    Attack("check reads the state", MOUNTS, adds(container("check"), "volumeMounts", READ)),
    *(
        Attack(f"is of the round {uid}", ROUND, sets(labels, {"wardround.io/round-uid": uid}))
        for uid in ("x.y", GONE, "0B6B5A4E-9f5c-4a4e-8f0a-3a4d1c2b9e77")
    ),
    Attack("check writes what it checks", MOUNTS, sets(mount("check", "out"), {"readOnly": GONE})),
    Attack("check misses what it checks", MOUNTS, sets(container("check"), {"volumeMounts": [RAW]})),
    Attack("mounts by expression", "may not have subPathExpr", sets(mount("train", "out"), {"subPathExpr": "$(HOME)"})),
    Attack(
        "propagates mounts", "or mountPropagation", sets(mount("train", "out"), {"mountPropagation": "HostToContainer"})
    ),
]
