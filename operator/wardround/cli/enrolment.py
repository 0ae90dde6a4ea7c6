"""Builds a hospital's enrolment: manifests for Git, the site's first credentials, its chart values, the fingerprint.

Pure: builds and compares objects. It knows no cluster.
"""

import base64
import json
import re
from dataclasses import dataclass

import yaml

from wardround.api.meta import API_VERSION
from wardround.api.names import HUB_CONFIG_MAP, HUB_CREDENTIALS, PARTICIPANT, SITE_ACCOUNT
from wardround.cli.errors import CommandError
from wardround.cli.objects import Object, printable
from wardround.sealing.keys import participant_fingerprint

TOKEN_SECONDS = 24 * 3600
CLUSTER_ROLE = "wardround-participant"
SERVICE_ACCOUNT = SITE_ACCOUNT
QUOTA = "participant"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
# Defaults of the CRD. Manifests leave them out: in Git they would undo what people set at the hub.
DEFAULTS: Object = {"suspend": False}
# Parsers of YAML differ about such names: some read a number or a truth value.
NO_TEXT = re.compile(
    r"y|n|yes|no|on|off|true|false|null|nan|inf|[0-9]+(e-?[0-9]+)?|0[box][0-9a-f]+|[0-9]{4}(-[0-9]{1,2}){2}", re.ASCII
)
OTHERS_STOP = (
    "Enrolling gives the hospital's namespace a quota of one Lease and the Pod Security level `restricted`, which "
    "would stop other people's programs there. Give the hospital a name that no namespace has yet, such as site-a."
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def check_name(name: str, role: str) -> None:
    """Raises CommandError unless `name` is an RFC 1123 label, as a namespace's name must be. `role`: for the message.

    The check comes early, before somebody commits manifests that no API server accepts.
    """
    if LABEL.fullmatch(name) is None:
        raise CommandError(
            f"{name!r} cannot be {role}, which is also the name of a namespace on the hub. Use at most 63 "
            "lower-case letters, digits and hyphens, with a letter or digit first and last (an RFC 1123 label), such "
            "as site-a."
        )


def is_ambiguous(name: str) -> bool:
    """Whether a parser may read no text where `as_text` writes this name. It quotes some of these names."""
    return NO_TEXT.fullmatch(name) is not None and yaml.safe_dump(name)[0] not in "'\""


def check_hospital(name: str, hub_namespace: str) -> None:
    """Raises CommandError if `name` is not a label, if a file of YAML may not keep it as a text, or if its namespace
    belongs to Kubernetes or to the hub."""
    check_name(name, "a hospital's name")
    if is_ambiguous(name):
        raise CommandError(
            f"{name!r} cannot be a hospital's name: Helm or kubectl could read it as a number, or as true or false. "
            "Give the hospital another name, such as site-a."
        )
    owner = "Kubernetes' own" if name == "default" or name.startswith("kube-") else "the hub's own"
    if name == hub_namespace or owner == "Kubernetes' own":
        raise CommandError(f"{name!r} cannot be a hospital's name: the namespace {name} is {owner}. {OTHERS_STOP}")


def check_namespace(namespace: Object, server: str) -> None:
    """Raises CommandError unless this existing namespace is a hospital's."""
    name = namespace["metadata"]["name"]
    if PARTICIPANT in namespace["metadata"].get("labels", {}):
        return
    raise CommandError(
        f"{server} has a namespace {name} already, and it is not a hospital's. {OTHERS_STOP} If you have made this "
        f"namespace for the hospital, run `kubectl label namespace {name} {PARTICIPANT}={name}`, and then this command "
        "again."
    )


def participant(name: str, display_name: str, federations: list[str], before: Object | None) -> Object:
    """The Participant of a hospital.

    `before`: the Participant at the hub. Its settings are kept, also the pinned fingerprint, because applying a
    manifest without it would remove the pin. `federations`: added to those in `before`. `display_name`: empty for no
    change. A new hospital has no fingerprint: `approve` pins it after a person has compared it.
    """
    known = before or {}
    spec = {key: value for key, value in (known.get("spec") or {}).items() if (key, value) not in DEFAULTS.items()}
    allowed = [each["namespace"] for each in spec.get("allowedFederations") or []]
    spec["displayName"] = display_name or spec.get("displayName") or name
    spec["allowedFederations"] = [{"namespace": each} for each in dict.fromkeys([*allowed, *federations])]
    metadata = {"name": name, "namespace": name, **_kept_metadata(known.get("metadata") or {})}
    return {"apiVersion": API_VERSION, "kind": "Participant", "metadata": metadata, "spec": spec}


def _kept_metadata(before: Object) -> Object:
    """Labels, by which rounds select hospitals, and annotations, which GitOps tools use."""
    own = {
        key: {name: value for name, value in (before.get(key) or {}).items() if name != LAST_APPLIED}
        for key in ("labels", "annotations")
    }
    return {key: values for key, values in own.items() if values}


def changes(before: Object, after: Object) -> list[str]:
    """The changes in a Participant's spec that applying `after` makes, one line a field."""
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
    """The hub's manifests for a hospital.

    `before`: its Participant at the hub. `flow_control`: whether to include the priority level and the FlowSchema,
    which are cluster-scoped.
    """
    labels = {PARTICIPANT: name}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            # No pod should run in a participant's namespace. This level restricts one that does.
            "metadata": {"name": name, "labels": {**labels, "pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            # Listed before the binding. A hospital may create one Lease, its heartbeat. RBAC cannot restrict `create`
            # to a name, so without the quota a hospital could fill the hub's etcd.
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
    """The name of a participant's priority level and FlowSchema: at most 85 of 253 allowed characters."""
    return f"{CLUSTER_ROLE}-{participant}"


def is_flow_control(item: Object) -> bool:
    return str(item["apiVersion"]).startswith("flowcontrol.apiserver.k8s.io/")


def _priority_level(participant: str) -> Object:
    """The hospital's own priority level at the hub's API server. In a shared level, one hospital could hold all seats
    with requests whose bodies never arrive, and the API server would refuse the other hospitals."""
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": flow_control_name(participant), "labels": {PARTICIPANT: participant}},
        "spec": {
            "type": "Limited",
            "limited": {
                # The smallest share, because many hospitals' shares reduce the seats of all others: two or three seats
                # with up to some hundred hospitals, never less than one (docs/operations.md).
                "nominalConcurrencyShares": 1,
                # A request that never ends would not give a lent or borrowed seat back.
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
    """Assigns all requests of the hospital's account to its priority level. It selects by account and not by resource:
    the API server assigns requests before it checks rights, so forbidden requests count, too."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    account = {"namespace": participant, "name": SERVICE_ACCOUNT}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": flow_control_name(participant), "labels": {PARTICIPANT: participant}},
        "spec": {
            "priorityLevelConfiguration": {"name": flow_control_name(participant)},
            # Before Kubernetes' FlowSchema for service accounts (9000), after those for its own accounts.
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
    """The site's first Secret. The site operator renews its token. It has no namespace: the hospital's administrator
    chooses one with `kubectl apply -n`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": HUB_CREDENTIALS},
        "type": "Opaque",
        "stringData": {"server": server, "ca.crt": ca_certificate, "token": token, "namespace": participant},
    }


@dataclass(frozen=True)
class HubFacts:
    """The hub's facts that a site pins. They are public, but people must compare them over another channel."""

    fingerprint: str
    store_origin: str
    store_ca_bundle: str


def hub_facts(config_map: Object | None, namespace: str) -> HubFacts:
    data = (config_map or {}).get("data") or {}
    if not data.get("fingerprint") or not data.get("storeOrigin"):
        raise CommandError(
            "The command cannot read the hub's fingerprint and store origin, which the hub operator writes at its "
            f"start (ConfigMap {namespace}/{HUB_CONFIG_MAP}). Check that the hub chart is installed in namespace "
            f"{namespace}, and that the hub operator runs. If it runs in another namespace, give --hub-namespace."
        )
    return HubFacts(data["fingerprint"], data["storeOrigin"], data.get("storeCABundle", ""))


def site_values(participant: str, facts: HubFacts) -> Object:
    """The hub's part of the site chart's values."""
    return {
        "hub": {"participantNamespace": participant, "fingerprint": facts.fingerprint},
        "store": {"origin": facts.store_origin, "caBundle": facts.store_ca_bundle},
    }


def as_text(item: Object) -> str:
    """The file with the first Secret or the values. The hospital's check accepts no other text for the same item."""
    return yaml.safe_dump(item, sort_keys=False)


def fingerprint_to_pin(participant: Object) -> str:
    """The fingerprint of a site's published keys, computed here and compared with the fingerprint in the hub's status.

    Raises CommandError if the keys are missing or malformed, or if the fingerprints differ.
    """
    name = participant["metadata"]["name"]
    status = participant.get("status") or {}
    keys = (status.get("site") or {}).get("keys") or {}
    if not keys.get("signing") or not keys.get("decryption"):
        raise CommandError(
            f"There is nothing to approve, because {name} has not sent its keys yet. If the hospital has no "
            f"credentials yet, run `kubectl wardround enrol {name} --bootstrap FILE`, and send the hospital FILE "
            "and the printed values. The site sends its keys when the hospital's administrator has applied FILE and "
            "installed the site chart with these values."
        )
    try:
        signing = base64.b64decode(keys["signing"], validate=True)
        decryption = base64.b64decode(keys["decryption"], validate=True)
    except ValueError as error:
        raise CommandError(
            f"Nothing was pinned, because {name} has published keys that are not base64. Ask the hospital's "
            "administrator which version of Wardround the site runs."
        ) from error
    computed = participant_fingerprint(signing, decryption)
    published = status.get("fingerprint")
    if published and published != computed:
        raise CommandError(
            f"The command has pinned nothing, because two fingerprints of {name} differ: status.fingerprint of the "
            f"Participant is {published}, and the published keys have {computed}. Perhaps the hospital has just "
            "changed its keys. Run the command again. If the fingerprints still differ, check that the hub operator "
            "runs, because it writes status.fingerprint."
        )
    return computed


def check_expected(computed: str, expected: str) -> None:
    if computed != expected:
        raise CommandError(
            f"Nothing was pinned: the keys that the hospital has published have the fingerprint {computed}, and not "
            f"{expected}. Ask the hospital by telephone for its fingerprint. If the hospital does not read out "
            f"{computed}, do not pin these keys: somebody else may have published them."
        )
