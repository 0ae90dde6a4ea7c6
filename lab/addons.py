"""Manifests of every lab cluster: access rules and CoreDNS. Pure."""

from pathlib import Path
from typing import Any

from lab.topology import DNS_ADDRESS, HOST_NAMES, Cluster

# The lab's internet has two names. CoreDNS answers NXDOMAIN at once for all others.
COREFILE = """\
cluster.local in-addr.arpa {{
    errors
    kubernetes cluster.local in-addr.arpa {{
        pods insecure
    }}
}}
lab.internal {{
    errors
    hosts {{
        {hub} {names}
    }}
}}
. {{
    ready
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
DNS_LABELS = {"k8s-app": "kube-dns"}


# What a kubelet reads to start a pod.
MOUNTED = ["pods", "configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes"]


def access() -> list[dict[str, Any]]:
    """Rights of the API server at the kubelet, of the node, and of kube-router. No default role gives them.

    The API server's Node authorizer learns of a new pod a moment after the kubelet. Until then, the authorizer refuses
    the kubelet the pod's claims, and the kubelet tries again only after 10 to 15 seconds. A cluster's only node runs
    all its pods, so it may read what any of them mounts.
    """
    watch = ["get", "list", "watch"]
    return [
        _binding(
            "wardround-lab:kubelet-api", "system:kubelet-api-admin", _subject("User", "kube-apiserver-kubelet-client")
        ),
        _role("wardround-lab:node", [{"apiGroups": [""], "resources": MOUNTED, "verbs": watch}]),
        _binding("wardround-lab:node", "wardround-lab:node", _subject("Group", "system:nodes")),
        _role(
            "wardround-lab:kube-router",
            [
                {
                    "apiGroups": [""],
                    "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
                    "verbs": watch,
                },
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
                {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": watch},
            ],
        ),
        _binding("wardround-lab:kube-router", "wardround-lab:kube-router", _subject("User", "system:kube-router")),
    ]


def dns(hub: Cluster, image: str, program: Path) -> list[dict[str, Any]]:
    """CoreDNS with its usual labels, which NetworkPolicies select. Its program is mounted from this machine."""
    meta = {"name": "coredns", "namespace": "kube-system"}
    watch = ["list", "watch"]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        _role(
            "wardround-lab:coredns",
            [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": watch},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
            ],
        ),
        _binding("wardround-lab:coredns", "wardround-lab:coredns", {"kind": "ServiceAccount", **meta}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"Corefile": COREFILE.format(hub=hub.wan, names=" ".join(HOST_NAMES))},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": DNS_LABELS},
            "spec": {
                "clusterIP": DNS_ADDRESS,
                "selector": DNS_LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**meta, "labels": DNS_LABELS},
            "spec": {
                "selector": {"matchLabels": DNS_LABELS},
                "template": {"metadata": {"labels": DNS_LABELS}, "spec": _dns_pod(image, program)},
            },
        },
    ]


def _dns_pod(image: str, program: Path) -> dict[str, Any]:
    mounts = [
        {"name": "config", "mountPath": "/etc/coredns", "readOnly": True},
        {"name": "program", "mountPath": "/coredns", "readOnly": True},
    ]
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/coredns", "-conf", "/etc/coredns/Corefile"],
        "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        # As in other clusters. Without a request, no name is resolved while training pods use all processors.
        "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}},
        "volumeMounts": mounts,
    }
    return {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": "coredns"}},
            {"name": "program", "hostPath": {"path": str(program), "type": "File"}},
        ],
    }


def _role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _subject(kind: str, name: str) -> dict[str, str]:
    return {"kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": name}
