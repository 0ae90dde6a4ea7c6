"""Attacks on the admission policies of the training pod: changes of the pod and of its Job."""

from __future__ import annotations

from tests.integration.api.attack import (
    ACCOUNT,
    ANOTHER_OWNER,
    DEVICES,
    DISRUPTED,
    FAILURES,
    GOES,
    GRACE,
    GROUPS,
    GROUPS_OF_IMAGE,
    HOST_NAMESPACES,
    LONGEST,
    MARKS,
    NODES,
    NOT_DISRUPTED,
    ONE_POD,
    OWNER,
    PLACE,
    PLACES,
    POD_SECURITY,
    QUEUE,
    READS_CODES,
    RESOLVER,
    ROLE,
    RUNTIME,
    SHOWN,
    STAYS,
    TAINTS,
    TASK,
    UNKNOWN,
    UNKNOWN_OF_CONTAINERS,
    UNKNOWN_SECURITY,
    Attack,
    claims_a_device,
    failures,
    first,
    is_of_another_task,
    is_owned_also_by,
    restarts,
)
from tests.integration.api.jobs import (
    GONE,
    container,
    inside,
    labels,
    metadata,
    pod,
    security,
    sets,
    spec,
    template,
)

BLOCKS = {"blockOwnerDeletion": True}

POD = [
    *(
        Attack(f"carries the role {role}", ROLE, sets(labels, {"wardround.io/role": role}))
        for role in ("courier", "operator", "extraction")
    ),
    Attack("carries no role", ROLE, sets(labels, {"wardround.io/role": GONE})),
    Attack("carries no task", TASK, sets(labels, {"wardround.io/task-uid": GONE})),
    Attack("names something else as its task", TASK, sets(labels, {"wardround.io/task-uid": "x.y"})),
    Attack("uses the courier's account", ACCOUNT, sets(pod, {"serviceAccountName": "courier"})),
    Attack("uses the operator's account", ACCOUNT, sets(pod, {"serviceAccountName": "site-operator"})),
    Attack("mounts a token", ACCOUNT, sets(pod, {"automountServiceAccountToken": True})),
    Attack("leaves the token to the default", ACCOUNT, sets(pod, {"automountServiceAccountToken": GONE})),
    Attack("learns of services", "enableServiceLinks false", sets(pod, {"enableServiceLinks": True})),
    *(Attack(f"sets {name}", "may not share a namespace", sets(pod, {name: True})) for name in HOST_NAMESPACES),
    Attack("restarts its containers", "restartPolicy Never", restarts),
    Attack("has no pod security", POD_SECURITY, sets(pod, {"securityContext": GONE})),
    *(
        Attack(f"has the pod security {setting}", POD_SECURITY, sets(security, setting))
        for setting in (
            {"runAsUser": 1000},
            {"runAsNonRoot": False},
            {"seccompProfile": {"type": "Unconfined"}},
            {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            {"seLinuxOptions": {"type": "spc_t"}},
            {"appArmorProfile": {"type": "Unconfined"}},
        )
    ),
    *(
        Attack(f"runs as the group {setting}", GROUPS, sets(security, setting))
        for setting in ({"runAsGroup": 0}, {"fsGroup": 6}, {"fsGroup": GONE}, {"supplementalGroups": [6]})
    ),
    Attack("claims a device", DEVICES, claims_a_device),
    *(
        Attack(f"ends after {setting}", GRACE, sets(pod, {"terminationGracePeriodSeconds": setting}))
        for setting in (0, 11, 86400, GONE)
    ),
    *(
        Attack(f"resolves by {setting}", RESOLVER, sets(pod, setting))
        for setting in (
            {"dnsPolicy": "Default"},
            {"dnsPolicy": "ClusterFirst", "dnsConfig": GONE},
            {"dnsConfig": {"nameservers": ["10.96.0.10"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1", "10.96.0.10"]}},
            {"dnsConfig": {"nameservers": ["fe80::1"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1"], "searches": ["hospital.example"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1"], "options": [{"name": "use-vc"}]}},
        )
    ),
    *(
        Attack(f"tolerates {setting}", TAINTS, sets(pod, {"tolerations": setting}))
        for setting in (
            [{"operator": "Exists"}],
            [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
            [{"key": "node.kubernetes.io/unreachable", "operator": "Equal", "value": "x", "effect": "NoExecute"}],
        )
    ),
    *(
        Attack(f"takes groups of its image by {setting}", GROUPS_OF_IMAGE, sets(security, setting))
        for setting in ({"supplementalGroupsPolicy": GONE}, {"supplementalGroupsPolicy": "Merge"})
    ),
    Attack("runs in a sandbox of its choice", RUNTIME, sets(pod, {"runtimeClassName": "nvidia"})),
    *(
        Attack(f"has a {first(setting)}", UNKNOWN, sets(pod, setting))
        for setting in (
            {"hostname": "patient-17"},
            {"subdomain": "patient-17"},
            {"setHostnameAsFQDN": True},
            {"hostAliases": [{"ip": "203.0.113.1", "hostnames": ["hub"]}]},
            {"readinessGates": [{"conditionType": "example.org/ready"}]},
            {"os": {"name": "linux"}},
            {"resources": {"limits": {"memory": "64Gi"}}},
        )
    ),
    Attack("relabels volumes", UNKNOWN_SECURITY, sets(security, {"seLinuxChangePolicy": "Recursive"})),
]


# These policies apply only to the Job, because a cluster may write such fields into pods for good reasons.
JOB = [
    *(
        Attack(f"marks its pods with {name}", MARKS, sets(template, {"annotations": {name: "x"}}))
        for name in ("k8s.v1.cni.cncf.io/networks", "io.katacontainers.config.hypervisor.path")
    ),
    Attack("marks its pods beside what kubectl shows", MARKS, sets(inside(template, "annotations"), {"internet": "x"})),
    Attack("shows another container", MARKS, sets(inside(template, "annotations"), {SHOWN: "check"})),
    Attack("gives its pods a label that opens doors", MARKS, sets(inside(template, "labels"), {"internet": "allowed"})),
    Attack("keeps its pods from being deleted", MARKS, sets(template, {"finalizers": ["example.org/never"]})),
    Attack("chooses its node", PLACE, sets(pod, {"nodeName": "control-plane"})),
    Attack("pushes others aside", PLACE, sets(pod, {"priorityClassName": "system-node-critical"})),
    Attack("is placed by a scheduler of its choice", PLACE, sets(pod, {"schedulerName": "mine"})),
    Attack("selects its node", NODES, sets(pod, {"nodeSelector": {"kubernetes.io/hostname": "node-1"}})),
    *(
        Attack(f"has the mark {setting}", QUEUE, sets(inside(metadata, "labels"), setting))
        for setting in (
            {"kueue.x-k8s.io/queue-name": "another-department"},
            {"kueue.x-k8s.io/priority-class": "high"},
            {"kueue.x-k8s.io/prebuilt-workload-name": "mine"},
        )
    ),
    *(Attack(f"says {first(setting)} of its place", UNKNOWN, sets(pod, setting)) for setting in PLACES),
    *(
        Attack(f"tolerates {key}, as pods do", TAINTS, sets(pod, {"tolerations": [{"key": key, "operator": "Exists"}]}))
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/memory-pressure", "nvidia.com/gpu")
    ),
    Attack(
        "says how check is resized",
        UNKNOWN_OF_CONTAINERS,
        sets(container("check"), {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}),
    ),
    *(
        Attack(f"runs with {setting}", ONE_POD, sets(spec, setting))
        for setting in (
            {"parallelism": 2, "completions": 2},
            {"completions": 2},
            {"backoffLimit": 3},
            {"completionMode": "Indexed"},
            {"completionMode": "Indexed", "backoffLimitPerIndex": 1},
            {"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}},
            {"managedBy": "example.org/another"},
            {"podFailurePolicy": GONE, "podReplacementPolicy": "TerminatingOrFailed"},
            {"manualSelector": True, "selector": {"matchLabels": {"app.kubernetes.io/name": "wardround"}}},
        )
    ),
    *(
        Attack(f"has pods with {setting}", ONE_POD, sets(pod, setting))
        for setting in ({"activeDeadlineSeconds": GONE}, {"activeDeadlineSeconds": LONGEST + 1})
    ),
    *(
        Attack(f"has the podFailurePolicy {description}", FAILURES, sets(spec, failures(*rules)))
        for description, rules in (
            ("of no rule", ()),
            ("that reads exit codes", (READS_CODES,)),
            ("that reads exit codes too", (DISRUPTED, READS_CODES)),
            ("that fails when disrupted", (DISRUPTED | {"action": "FailJob"},)),
            ("that counts when disrupted", (DISRUPTED | {"action": "Count"},)),
            ("of another condition", ({"action": "Ignore", "onPodConditions": [{"type": "Ready", "status": "True"}]},)),
            ("of what is not so", ({"action": "Ignore", "onPodConditions": [NOT_DISRUPTED]},)),
            ("of two conditions", (DISRUPTED | {"onPodConditions": [*DISRUPTED["onPodConditions"], NOT_DISRUPTED]},)),
        )
    ),
    Attack("cannot be deleted", GOES, sets(metadata, {"finalizers": ["example.org/never"]})),
    Attack("removes itself", STAYS, sets(spec, {"ttlSecondsAfterFinished": 0})),
    Attack("belongs to no task", OWNER, lambda job: sets(lambda _: job["metadata"], {"ownerReferences": GONE})(job)),
    Attack("belongs to another task", OWNER, is_of_another_task),
    Attack("has a second owner", OWNER, is_owned_also_by(ANOTHER_OWNER)),
    Attack("holds up the deletion of another object", OWNER, is_owned_also_by({**ANOTHER_OWNER, **BLOCKS})),
    Attack("holds up the deletion of its task", OWNER, sets(lambda job: job["metadata"]["ownerReferences"][0], BLOCKS)),
]
