"""Which kinds there are and where they lie in the API, for operators and command line. Add a line for another kind."""

from dataclasses import dataclass
from urllib.parse import quote

from wardround.api.meta import API_VERSION


@dataclass(frozen=True)
class Resource:
    kind: str
    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path; without namespace, the collection over all namespaces."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        # A name may come from a command line, and must not lead elsewhere.
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


RESOURCES = {
    each.kind: each
    for each in (
        Resource("Participant", API_VERSION, "participants"),
        Resource("FederatedRound", API_VERSION, "federatedrounds"),
        Resource("FederatedModel", API_VERSION, "federatedmodels"),
        Resource("ModelVersion", API_VERSION, "modelversions"),
        Resource("ModelTransfer", API_VERSION, "modeltransfers"),
        Resource("ModelPush", API_VERSION, "modelpushes"),
        Resource("RoundTask", API_VERSION, "roundtasks"),
        Resource("Site", API_VERSION, "sites"),
        Resource("SiteTask", API_VERSION, "sitetasks"),
        Resource("Approval", API_VERSION, "approvals"),
        Resource("DataSchema", API_VERSION, "dataschemas"),
        Resource("Dataset", API_VERSION, "datasets"),
        Resource("Prediction", API_VERSION, "predictions"),
        Resource("Pod", "v1", "pods"),
        Resource("Secret", "v1", "secrets"),
        Resource("ConfigMap", "v1", "configmaps"),
        Resource("ResourceQuota", "v1", "resourcequotas"),
        Resource("Namespace", "v1", "namespaces", namespaced=False),
        Resource("Node", "v1", "nodes", namespaced=False),
        Resource("Service", "v1", "services"),
        Resource("ServiceAccount", "v1", "serviceaccounts"),
        Resource("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
        Resource("Endpoints", "v1", "endpoints"),
        Resource("Event", "events.k8s.io/v1", "events"),
        Resource("Job", "batch/v1", "jobs"),
        Resource("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
        Resource("Lease", "coordination.k8s.io/v1", "leases"),
        Resource("FlowSchema", "flowcontrol.apiserver.k8s.io/v1", "flowschemas", namespaced=False),
        Resource(
            "PriorityLevelConfiguration",
            "flowcontrol.apiserver.k8s.io/v1",
            "prioritylevelconfigurations",
            namespaced=False,
        ),
    )
}
