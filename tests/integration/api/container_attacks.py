"""Attacks on the admission policies of the training pod: changes of containers."""

from __future__ import annotations

from tests.integration.api.attack import (
    ACCELERATORS,
    ALL_LEFT_OUT,
    ALLOWED,
    CELL,
    COMMAND,
    EACH,
    ENVIRONMENT,
    EVALUATES,
    FEWER,
    FEWER_BEHIND,
    FEWEST,
    IGNORES,
    INITIALISES,
    KIND,
    LAUNCH,
    LIMITS,
    LINK_LOCAL,
    LIST,
    LISTED,
    MORE_EVALUATIONS,
    MOST_EVALUATIONS,
    MOST_LEFT_OUT,
    OPENMP,
    ORDER,
    OTHER,
    OUR_IMAGE,
    OURS,
    PREDICTS,
    READ_LABELS,
    RESOURCES,
    ROWS,
    SECOND_WAY,
    SECRET,
    SECURITY,
    SIDECAR,
    STEPS,
    TELLING,
    TELLS,
    TERMINATION,
    TEST_ROWS,
    THEIR_IMAGE,
    THREADS,
    UNKNOWN_OF_CONTAINERS,
    WAITS,
    Attack,
    asks_for,
    brings,
    first,
    launched,
    limited,
    ours,
    skips,
    trains_first,
)
from tests.integration.api.jobs import (
    GONE,
    WEAKER,
    adds,
    container,
    inside,
    sets,
    variable,
)
from tests.integration.api.objects import TRAINER

CONTAINERS = [
    Attack("brings a container", ORDER, brings("containers")),
    Attack("brings an init container", ORDER, brings("initContainers")),
    Attack("skips the gate", ORDER, skips("prepare")),
    Attack("stops watching", ORDER, skips("isolation")),
    Attack("trains before the gate", ORDER, trains_first),
    Attack("renames check", ORDER, sets(container("check"), {"name": "chock"})),
    *(Attack(f"{name} runs another image", OUR_IMAGE, sets(container(name), {"image": TRAINER})) for name in OURS),
    Attack("trains with an image off the list", THEIR_IMAGE, sets(container("train"), {"image": OTHER})),
    Attack("trains with a tag", THEIR_IMAGE, sets(container("train"), {"image": "trainer:latest"})),
    Attack(
        "initialises with an image off the list",
        THEIR_IMAGE,
        sets(container("init"), {"image": OTHER}),
        "train-initial",
    ),
    *(Attack(f"{name} runs our courier", COMMAND, sets(container(name), ours("courier"))) for name in OURS),
    *(Attack(f"{name} gets arguments", COMMAND, sets(container(name), {"args": ["--help"]})) for name in OURS),
    *(
        Attack(f"{name} is launched to run our courier", COMMAND, sets(container(name), launched("courier")), case)
        for name, case in (*((name, "train") for name in OURS), ("train", "statistics"))
    ),
    *(
        Attack(f"{verb} keeps its network", COMMAND, sets(container(name), {"command": command}), case)
        for name, verb, case in (
            ("check", "check", "train"),
            ("check", "score", "evaluate"),
            ("train", "statistics", "statistics"),
        )
        for command in (
            ["python", "-m", "wardround", verb],
            [LAUNCH[0], "--local-sockets", "--", "python", "-m", "wardround", verb],
        )
    ),
    *(
        Attack(f"{name} is launched", COMMAND, sets(container(name), launched(name)))
        for name in ("prepare", "isolation")
    ),
    *(
        Attack(f"{name} is started by {' '.join(words)}", LISTED, sets(container(name), {"command": command}), case)
        for name, verb, case in (
            ("train", "train", "train"),
            ("train", "predict", "evaluate"),
            ("init", "init", "train-initial"),
        )
        for words in (
            [],
            ["--"],
            [LAUNCH[0]],
            [LAUNCH[0], "--local-sockets", "--"],
            [LAUNCH[0], "--", "--local-sockets"],
            ["/tmp/launch", "--"],
            ["launch", "--"],
            [*LAUNCH, *LAUNCH],
        )
        for command in ([*words, *LIST, verb],)
    ),
    Attack("train gets arguments", COMMAND, sets(container("train"), {"args": ["--help"]})),
    Attack("train has no command", LISTED, sets(container("train"), {"command": GONE})),
    *(
        Attack(f"train runs {' '.join(words)}", LISTED, sets(container("train"), {"command": [*LAUNCH, *words]}))
        for words in (
            ["python", "-c", "print(open('/wardround/data/train.parquet', 'rb').read())", "train"],
            ["sh", "-c", "train"],
            [*LIST, "export"],
            [*LIST, "init"],
            [*LIST, "train", "train"],
            [*LIST],
            [*LIST[:-1], "train"],
            [" ".join(LIST), "train"],
            ["train"],
        )
    ),
    Attack("predicts with a command off the list", LISTED, sets(container("train"), {"command": PREDICTS}), "evaluate"),
    Attack("init runs another command", LISTED, sets(container("init"), {"command": INITIALISES}), "train-initial"),
    Attack("init trains", LISTED, sets(container("init"), {"command": [*LAUNCH, *LIST, "train"]}), "train-initial"),
    Attack("scores what was trained", COMMAND, sets(container("check"), launched("score"))),
    Attack("checks what was predicted", COMMAND, sets(container("check"), launched("check")), "evaluate"),
    Attack("isolation ends", SIDECAR, sets(container("isolation"), {"restartPolicy": GONE})),
    Attack("train goes on beside check", SIDECAR, sets(container("train"), {"restartPolicy": "Always"})),
    *(
        Attack(f"{name} runs again when it fails", SIDECAR, sets(container(name), {"restartPolicy": "OnFailure"}))
        for name in ("prepare", "train", "check")
    ),
    *(
        Attack(f"train gets {resource}", RESOURCES, asks_for(resource))
        for resource in ("rdma/hca", "intel.com/sriov_netdevice", "example.com/fuse")
    ),
    Attack(
        "train runs as another group",
        SECURITY,
        sets(inside(container("train"), "securityContext"), {"runAsGroup": 0}),
    ),
    *(
        Attack(f"{name} {description}", ENVIRONMENT, sets(container(name), setting))
        for name in (*OURS, "train")
        for description, setting in (
            ("gets a Secret as a variable", {"env": [{"name": "WARDROUND_ISOLATION", "valueFrom": SECRET}]}),
            ("gets a Secret as its environment", {"envFrom": [{"secretRef": {"name": "courier-keys"}}]}),
            ("loads other code", {"env": [{"name": "PYTHONPATH", "value": "/wardround/raw"}]}),
        )
    ),
    *(
        Attack(f"check has {first(setting)}", SECOND_WAY, sets(container("check"), setting))
        for setting in (
            {"lifecycle": {"postStart": READ_LABELS}},
            {"livenessProbe": READ_LABELS},
            {"readinessProbe": READ_LABELS},
            {"startupProbe": READ_LABELS},
            {"workingDir": "/wardround/out"},
            {"stdin": True},
            {"tty": True},
            {"ports": [{"containerPort": 80}]},
            {"volumeDevices": [{"name": "dataset", "devicePath": "/dev/patients"}]},
        )
    ),
    Attack("prepare imports from the data", SECOND_WAY, sets(container("prepare"), {"workingDir": "/wardround/raw"})),
    *(
        Attack(f"prepare tells by {first(setting)}", TERMINATION, sets(container("prepare"), setting))
        for setting in (
            {"terminationMessagePath": "/wardround/raw/cases.csv"},
            {"terminationMessagePolicy": "FallbackToLogsOnError"},
        )
    ),
    *(
        Attack(
            f"{name} has {variable_name}",
            ENVIRONMENT,
            sets(container(name), {"env": [{"name": variable_name, "value": "10"}]}),
        )
        for name in ("isolation", "train", "check")
        for variable_name in (
            *("WARDROUND_TASK", "WARDROUND_KIND", "WARDROUND_ROWS", "WARDROUND_DATASET", "WARDROUND_MIN_SAMPLES"),
            *("WARDROUND_MIN_CELL", "WARDROUND_MAX_LEFT_OUT", "WARDROUND_TELL_OWN_METRICS"),
            *("WARDROUND_DATASET_NAME", "WARDROUND_MAX_EVALUATIONS", "WARDROUND_ALLOWED_PARAMETERS"),
            "WARDROUND_SPLIT_FINGERPRINT",
        )
    ),
    *(
        Attack(
            f"{name} is told {variable_name}",
            ENVIRONMENT,
            sets(container(name), {"env": [{"name": variable_name, "value": "1.00"}]}),
        )
        for name in ("train", "check")
        for variable_name in ("WARDROUND_ISOLATION", "WARDROUND_ISOLATION_SECONDS", "WARDROUND_LINK_LOCAL")
    ),
    *(
        Attack(f"{name} is given threads", ENVIRONMENT, adds(container(name), "env", {**OPENMP, "value": "2"}))
        for name in ("prepare", "isolation", "check")
    ),
    *(
        Attack(
            f"{name} has {value or 'no'} threads",
            THREADS,
            adds(container(name), "env", {**OPENMP, "value": value}),
            case,
        )
        for name, case in (("train", "train"), ("train", "evaluate"), ("init", "train-initial"))
        for value in ("", "0", "1", "02", "2000", "two")
    ),
    *(
        Attack(
            f"{name} waits {seconds or 'no time'} for an answer",
            WAITS,
            adds(container(name), "env", {"name": "WARDROUND_ISOLATION_SECONDS", "value": seconds}),
        )
        for name in ("prepare", "isolation")
        for seconds in ("", "0.24", "0.250", "1.01", "-0.25")
    ),
    *(
        Attack(f"{name} ignores link-local", LINK_LOCAL, adds(container(name), "env", IGNORES))
        for name in ("prepare", "isolation")
    ),
    *(
        Attack(f"prepare is of the kind {kind}", KIND, sets(variable("WARDROUND_KIND"), {"value": kind}), case)
        for case, kind in (
            *(("train", kind) for kind in ("Evaluate", "Statistics", "", "train")),
            *(("evaluate", "Train"), ("statistics", "Train"), ("train-initial", "Evaluate")),
        )
    ),
    Attack("prepare is of two kinds", KIND, adds(container("prepare"), "env", EVALUATES)),
    *(
        Attack(f"prepare gives out {rows or 'any'} rows", ROWS, sets(variable("WARDROUND_ROWS"), {"value": rows}), case)
        for case, rows in (
            *((case, "Test") for case in ("train", "train-initial", "statistics")),
            *(("evaluate", rows) for rows in ("", "Train", "test", "Validation,Test")),
        )
    ),
    Attack("prepare gives out rows that nobody names", ROWS, sets(variable("WARDROUND_ROWS"), {"value": GONE})),
    Attack("prepare gives out test rows too", ROWS, adds(container("prepare"), "env", TEST_ROWS)),
    *(
        Attack(
            f"the result tells the hospital's numbers by {value or 'nothing'}",
            TELLS,
            sets(variable("WARDROUND_TELL_OWN_METRICS"), {"value": value}),
            case,
        )
        for case in ("train", "evaluate")
        for value in ("true", "", "True", "yes")
    ),
    Attack("the result tells the hospital's numbers too", TELLS, adds(container("prepare"), "env", TELLING)),
    Attack("prepare takes fewer samples", FEWEST, sets(variable("WARDROUND_MIN_SAMPLES"), {"value": "9"})),
    Attack("prepare takes any samples", FEWEST, adds(container("prepare"), "env", FEWER)),
    *(
        Attack(f"metrics are over {count} patients", CELL, sets(variable("WARDROUND_MIN_CELL"), {"value": value}), case)
        for case in ("train", "train-initial", "evaluate", "statistics")
        for count, value in (("fewer", "10"), ("any", "0"), ("who knows how many", GONE))
    ),
    Attack("metrics are over fewer patients too", CELL, adds(container("prepare"), "env", FEWER_BEHIND)),
    *(
        Attack(
            f"{share or 'no share'} of rows may be left out",
            MOST_LEFT_OUT,
            sets(variable("WARDROUND_MAX_LEFT_OUT"), {"value": share}),
        )
        for share in ("", "1", "0.100001", "0.1000001", "-0.1", "1e-1", "0.1\n", "$(X)")
    ),
    Attack("all rows may be left out too", MOST_LEFT_OUT, adds(container("prepare"), "env", ALL_LEFT_OUT)),
    *(
        Attack(
            f"{number or 'no number'} of evaluations are allowed",
            MOST_EVALUATIONS,
            sets(variable("WARDROUND_MAX_EVALUATIONS"), {"value": number}),
            case,
        )
        for case in ("train", "evaluate")
        for number in ("", "21", "-1", "1e3", " 20", "20\n", "$(X)", "9" * 19)
    ),
    Attack("more evaluations are allowed too", MOST_EVALUATIONS, adds(container("prepare"), "env", MORE_EVALUATIONS)),
    Attack("prepare allows any steps", ALLOWED, adds(container("prepare"), "env", STEPS)),
    *(
        Attack(f"{case} allows other parameters", ALLOWED, sets(variable(STEPS["name"]), {"value": "{}"}), case)
        for case in ("train", "train-initial", "evaluate", "statistics")
    ),
    Attack("prepare allows nothing said", ALLOWED, sets(variable(STEPS["name"]), {"value": GONE})),
    Attack("has no container security", SECURITY, sets(container("train"), {"securityContext": GONE})),
    *(
        Attack(
            f"has the container security {setting}",
            SECURITY,
            sets(inside(container("train"), "securityContext"), setting),
        )
        for setting in WEAKER
    ),
]

CONTAINERS += [
    *(
        Attack(f"{name} has the limits {limits}", LIMITS, limited(name, limits), case)
        for name, case, others in (
            ("train", "train", ({}, {"cpu": "1"}, {"memory": "2Gi"}, {"cpu": "64", "memory": "2Gi"})),
            ("prepare", "train", ()),
            ("check", "train", ()),
            ("init", "train-initial", ()),
            ("train", "statistics", ()),
        )
        for limits in (None, {"cpu": "1", "memory": "64Gi"}, *others)
    ),
    *(
        Attack(f"isolation has the limits {limits}", LIMITS, limited("isolation", limits))
        for limits in (None, {"cpu": "1"}, {"memory": "64Gi"})
    ),
    *(
        Attack(f"{name} gets an accelerator", ACCELERATORS, limited(name, {**EACH, "nvidia.com/gpu": "1"}), case)
        for name, case in (("prepare", "train"), ("check", "train"), ("init", "train-initial"))
    ),
    Attack("check closes its input", UNKNOWN_OF_CONTAINERS, sets(container("check"), {"stdinOnce": True})),
]
