"""What enrolling a hospital consists of: manifests for Git, the site's first credentials, its chart values, the pin.

Pure: builds and compares objects; who applies them, and to which cluster, is not known here.
"""

import base64
import json
import re
from dataclasses import dataclass

from wardround.api.meta import API_VERSION
from wardround.api.names import HUB_CONFIG_MAP, HUB_CREDENTIALS, PARTICIPANT, SITE_ACCOUNT
from wardround.api.participant import DEFAULT_MAX_SAMPLES
from wardround.cli.cluster import CommandError, Object
from wardround.cli.objects import printable
from wardround.sealing.keys import participant_fingerprint

TOKEN_SECONDS = 24 * 3600
CLUSTER_ROLE = "wardround-participant"
SERVICE_ACCOUNT = SITE_ACCOUNT
QUOTA = "participant"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
# What the kind sets where a Participant's spec says nothing: in Git it would only undo what people set at the hub.
DEFAULTS: Object = {"suspend": False, "maxSamples": DEFAULT_MAX_SAMPLES}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def check_name(name: str, what: str) -> None:
    """A namespace's name is an RFC 1123 label: said here, before anybody commits what no API server takes."""
    if LABEL.fullmatch(name) is None:
        raise CommandError(
            f"{name!r} cannot be {what}. The name is that of a namespace on the hub: at most 63 lower-case letters, "
            "digits and hyphens, with a letter or digit first and last (an RFC 1123 label), such as site-a."
        )


def check_hospital(name: str, hub_namespace: str) -> None:
    """A name for a hospital, whose namespace is nobody else's."""
    check_name(name, "a hospital's name")
    whose = "Kubernetes' own" if name == "default" or name.startswith("kube-") else "the hub's own"
    if name == hub_namespace or whose == "Kubernetes' own":
        raise CommandError(
            f"{name!r} cannot be a hospital's name: the namespace of that name is {whose}. Enrolling puts a quota of "
            "one Lease and the Pod Security level `restricted` there, which would stop what runs in it. Give the "
            "hospital a name that no namespace has yet, such as site-a."
        )


def participant(name: str, display_name: str, federations: list[str], before: Object | None) -> Object:
    """The Participant of a hospital. What it has at the hub (`before`) stays, its pinned fingerprint among it: a
    manifest without that would take it away when it is applied. `federations` are added. An empty `display_name`
    changes nothing. A new hospital has no fingerprint: `approve` pins it, after a look at it."""
    spec: Object = {
        key: value
        for key, value in ((before or {}).get("spec") or {}).items()
        if key not in DEFAULTS or value != DEFAULTS[key]
    }
    allowed = [each["namespace"] for each in spec.get("allowedFederations") or []]
    allowed += [each for each in dict.fromkeys(federations) if each not in allowed]
    spec["displayName"] = display_name or spec.get("displayName") or name
    spec["allowedFederations"] = [{"namespace": each} for each in allowed]
    metadata: Object = {"name": name, "namespace": name}
    # Rounds select by labels, and tools of Git by annotations.
    known = (before or {}).get("metadata") or {}
    for key in ("labels", "annotations"):
        if kept := {each: value for each, value in (known.get(key) or {}).items() if each != LAST_APPLIED}:
            metadata[key] = kept
    return {"apiVersion": API_VERSION, "kind": "Participant", "metadata": metadata, "spec": spec}


def changes(before: Object, after: Object) -> list[str]:
    """What applying `after` changes in the spec of a Participant that is there, one line a field."""
    old, new = ({**DEFAULTS, **each["spec"]} for each in (before, after))
    fields = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    return [f"spec.{key}: {_short(old.get(key))} -> {_short(new.get(key))}" for key in fields]


def _short(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def manifests(
    name: str,
    display_name: str,
    federations: list[str],
    *,
    before: Object | None = None,
    flow_control: bool = True,
) -> list[Object]:
    """What the hub needs to hold for a hospital.

    `before`: its Participant as it is at the hub. `flow_control`: whether with the two objects that are neither the
    hospital's namespace nor in it.
    """
    labels = {PARTICIPANT: name}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            # No pod ever runs in a participant's namespace; if one does, it has no rights.
            "metadata": {"name": name, "labels": {**labels, "pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            # Before the binding: the one kind that a hospital may make here is its heartbeat, and it needs one of it.
            # RBAC cannot hold `create` to a name, so that without this it could fill the hub's etcd.
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": QUOTA, "namespace": name, "labels": labels},
            "spec": {"hard": {"count/leases.coordination.k8s.io": "1"}},
        },
        participant(name, display_name, federations, before),
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": SERVICE_ACCOUNT, "namespace": name, "labels": labels},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": CLUSTER_ROLE, "namespace": name, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CLUSTER_ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": name}],
        },
        *([_priority_level(name), _flow_schema(name)] if flow_control else []),
    ]


def flow_control_name(participant: str) -> str:
    """Of its priority level and of its FlowSchema: 85 characters at most, of 253 that they may have."""
    return f"{CLUSTER_ROLE}-{participant}"


def is_flow_control(item: Object) -> bool:
    return str(item["apiVersion"]).startswith("flowcontrol.apiserver.k8s.io/")


def _priority_level(participant: str) -> Object:
    """The hospital's own turns at the API server. In a level that hospitals share, queues are fair to who waits, but
    one of them holds all seats by requests whose bodies do not come, and the others are refused."""
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": flow_control_name(participant), "labels": {PARTICIPANT: participant}},
        "spec": {
            "type": "Limited",
            "limited": {
                # The least there is, since shares of many hospitals are at the expense of all others: two or three
                # seats for up to some hundred hospitals, never less than one (docs/operations.md).
                "nominalConcurrencyShares": 1,
                # Nothing is lent, since a request that never ends gives nothing back, and nothing borrowed.
                "lendablePercent": 0,
                "borrowingLimitPercent": 0,
                # One account, one queue.
                "limitResponse": {
                    "type": "Queue",
                    "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 50},
                },
            },
        },
    }


def _flow_schema(participant: str) -> Object:
    """Sorts all that the hospital's account asks of the API server into its level: by account and not by resource,
    since requests are sorted before anybody looks at rights, so that those which are refused count as well."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    account = {"namespace": participant, "name": SERVICE_ACCOUNT}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": flow_control_name(participant), "labels": {PARTICIPANT: participant}},
        "spec": {
            "priorityLevelConfiguration": {"name": flow_control_name(participant)},
            # Before Kubernetes' own for service accounts (9000), after those for its own accounts.
            "matchingPrecedence": 1000,
            "rules": [
                {
                    "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
                    "resourceRules": [everything],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        },
    }


def credentials(participant: str, server: str, ca_certificate: str, token: str) -> Object:
    """The Secret that the site starts with. The site renews the token in it by itself; no namespace, so that
    `kubectl apply -n` decides where at the site it goes."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": HUB_CREDENTIALS},
        "type": "Opaque",
        "stringData": {"server": server, "ca.crt": ca_certificate, "token": token, "namespace": participant},
    }


@dataclass(frozen=True)
class HubFacts:
    """What a site pins of its hub: public, but to be compared over another channel than the token's."""

    fingerprint: str
    store_origin: str
    store_ca_bundle: str


def hub_facts(config_map: Object | None, namespace: str) -> HubFacts:
    data = (config_map or {}).get("data") or {}
    if not data.get("fingerprint") or not data.get("storeOrigin"):
        raise CommandError(
            f"The hub has not published its fingerprint and store origin (ConfigMap {namespace}/{HUB_CONFIG_MAP}). "
            "The hub operator writes them when it starts. Check that the hub chart is installed and the hub operator "
            "runs, or name its namespace with --hub-namespace."
        )
    return HubFacts(data["fingerprint"], data["storeOrigin"], data.get("storeCABundle", ""))


def site_values(participant: str, facts: HubFacts) -> Object:
    """Values of the site chart that come from the hub."""
    return {
        "hub": {"participantNamespace": participant, "fingerprint": facts.fingerprint},
        "store": {"origin": facts.store_origin, "caBundle": facts.store_ca_bundle},
    }


def fingerprint_to_pin(participant: Object) -> str:
    """Fingerprint of the keys that a site has sent, computed here and compared with what the hub says of them.

    Raises CommandError where there is nothing that can be approved.
    """
    name = participant["metadata"]["name"]
    status = participant.get("status") or {}
    keys = (status.get("site") or {}).get("keys") or {}
    if not keys.get("signing") or not keys.get("decryption"):
        raise CommandError(
            f"{name} has not sent its keys yet, so there is nothing to approve. The hospital's administrator: Install "
            f"the site chart with the credentials from `kubectl wardround enrol {name} --bootstrap FILE`."
        )
    try:
        signing = base64.b64decode(keys["signing"], validate=True)
        decryption = base64.b64decode(keys["decryption"], validate=True)
    except ValueError as error:
        raise CommandError(
            f"{name} has published keys that are not base64. Ask the hospital: nothing is pinned."
        ) from error
    computed = participant_fingerprint(signing, decryption)
    published = status.get("fingerprint")
    if published and published != computed:
        raise CommandError(
            f"The hub reports the fingerprint {published} for {name}, but the published keys have {computed}. The "
            "hospital may have just changed its keys: try again. If it stays so, ask the hub's administrator. Nothing "
            "is pinned."
        )
    return computed


def check_expected(computed: str, expected: str) -> None:
    if computed != expected:
        raise CommandError(
            f"The keys on the hub have the fingerprint {computed}, not {expected}. Nothing is pinned. "
            "Ask the hospital again, over another channel, which one is theirs."
        )
