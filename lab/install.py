"""Installs Wardround on the lab's clusters as people do: by Helm charts, Secrets, and the CLI's enrolment.

The demo and the e2e tests use it. It does not know the demo's data, rounds and tables.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lab import lifecycle, toolchain, volumes
from lab.errors import LabError
from lab.images import Images
from lab.pki import Authority, Names
from lab.topology import API_PORT, HOST_NAMES, ROOT, STORE_PORT, Cluster, named
from wardround.api import conditions, participant
from wardround.api.names import HUB_CONFIG_MAP
from wardround.cli import enrolment, verbs
from wardround.cli.cluster import Cluster as Api

Progress = Callable[[str], None]
Object = dict[str, Any]

HUB_NAMESPACE = volumes.HUB_NAMESPACE
SITE_NAMESPACE = volumes.SITE_NAMESPACE
HUB_HOST, STORE_HOST = HOST_NAMES
HUB_SERVER = f"https://{HUB_HOST}:{API_PORT}"
STORE_ORIGIN = f"https://{STORE_HOST}:{STORE_PORT}"
DATA_CLAIM, STATE_CLAIM, MODELS_CLAIM = "data", "state", "models"
# The claims that Predictions may name.
ROWS_CLAIM, ANSWERS_CLAIM = "new-cases", "answers"
# The values and objects that were applied, for people to read.
WRITTEN = ROOT / "build" / "demo"
PATIENCE_SECONDS = 120.0


def import_images(sites: Sequence[str], images: Images) -> None:
    """Import each cluster's images, unless they are there."""
    imports = [("hub", each) for each in (images.operator, images.store)]
    imports += [(name, each) for name in sites for each in (images.operator, images.trainer)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: lifecycle.open_existing(each[0]).import_image(each[1].archive), imports))


def install_hub(sites: Sequence[str], images: Images, progress: Progress) -> None:
    """Apply the store's credentials and certificate, install the charts `crds` and `hub`, and wait until the hub has
    published its fingerprint. Meanwhile, prepare the sites."""
    with ThreadPoolExecutor(len(sites)) as pool:
        prepared = pool.map(_prepare_site, sites)
        _install_hub(images, progress)
        list(prepared)


def install_site(
    name: str,
    display_name: str,
    datasets: Mapping[str, list[str]],
    images: Images,
    progress: Progress,
    values: Mapping[str, Any] | None = None,
) -> None:
    """Enrol a hospital that `install_hub` has prepared, install its site chart, and wait until the hub trusts it and it
    reaches the hub.

    `datasets`: by Dataset, the federations that may use it.
    """
    site, hub = named(name), Api(str(named("hub").kubeconfig))
    verbs.apply_enrolment(hub, name, display_name, sorted({each for allowed in datasets.values() for each in allowed}))
    secret, from_hub = verbs.bootstrap(hub, name, HUB_SERVER, HUB_NAMESPACE)
    apply(site, [secret], SITE_NAMESPACE)
    hub_address = f"{named('hub').wan}/32"
    chosen: Object = {
        **from_hub,
        "image": images.operator.reference,
        "policy": {
            "approval": "Policy",
            "images": [images.trainer.reference],
            "datasets": [{"name": each, "federations": allowed} for each, allowed in datasets.items()],
            "minQuorum": 1,
            # The lab's data is public, and the demo compares hospitals.
            "tellOwnMetrics": True,
        },
        "models": {"claimName": MODELS_CLAIM},
        "predictions": {"rowsClaimNames": [ROWS_CLAIM], "answersClaimNames": [ANSWERS_CLAIM]},
        "network": {
            "kubernetesAPI": _api_addresses(site),
            "hubAPI": [{"cidr": hub_address, "port": API_PORT}],
            "store": [{"cidr": hub_address, "port": STORE_PORT}],
        },
    }
    helm(site, "wardround-site", "site", SITE_NAMESPACE, merged(chosen, values))
    progress(f"{name}: operator and courier installed, enrolled at the hub")

    def has_keys() -> bool:
        status = verbs.participant(hub, name).get("status") or {}
        return bool(status.get("fingerprint"))

    wait(f"{name} to publish its keys", has_keys)
    fingerprint = enrolment.fingerprint_to_pin(verbs.participant(hub, name))
    verbs.pin(hub, name, fingerprint)
    wait(f"{name} to be trusted", lambda: trusted(verbs.participant(hub, name)))
    rolled_out(site, SITE_NAMESPACE)
    progress(f"{name}: approved, {fingerprint[:23]}...")


def trusted(item: Object) -> bool:
    """Whether the hub trusts the keys of this Participant."""
    return conditions.is_true(participant.parse(item).status.conditions, "Ready")


def wait_for_dataset(name: str, dataset: str) -> None:
    """Wait until the hub knows that a hospital offers a dataset. An earlier round would leave the hospital out."""
    hub = Api(str(named("hub").kubeconfig))

    def offered() -> bool:
        site = (verbs.participant(hub, name).get("status") or {}).get("site") or {}
        return any(each["name"] == dataset for each in site.get("datasets") or [])

    wait(f"{name} to offer dataset {dataset}", offered)


def fingerprint(hub: Api) -> str:
    """The fingerprint of the hub's key, as the hub's administrator gives it to people."""
    published = hub.get("ConfigMap", HUB_CONFIG_MAP, HUB_NAMESPACE)
    if published is None:
        raise LabError(f"the hub has no ConfigMap {HUB_CONFIG_MAP}: its operator does not run")
    return str(published["data"]["fingerprint"])


def data_folder(name: str) -> Path:
    """The folder on this machine with the content of a site's claim `data`."""
    return volumes.folder_of(named(name), SITE_NAMESPACE, DATA_CLAIM)


def models_folder(name: str) -> Path:
    """The folder on this machine with the content of a site's claim `models`."""
    return claim_folder(name, MODELS_CLAIM)


def claim_folder(name: str, claim: str) -> Path:
    """The folder on this machine with the content of one of a site's claims."""
    return volumes.folder_of(named(name), SITE_NAMESPACE, claim)


def state_folder(name: str) -> Path:
    """The folder on this machine with the content of a site's claim `state`."""
    return volumes.folder_of(named(name), SITE_NAMESPACE, STATE_CLAIM)


def helm(cluster: Cluster, release: str, chart: str, into: str, values: Mapping[str, Any], *flags: str) -> None:
    """Install or upgrade a chart. The values stay in build/demo. Raises LabError with Helm's output.

    `--wait` is needed for CRDs: the API server serves a kind a moment after its CRD is made.
    """
    WRITTEN.mkdir(parents=True, exist_ok=True)
    file = WRITTEN / f"values-{cluster.name}-{release}.yaml"
    file.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    command: list[str | Path] = [toolchain.tool("helm"), "upgrade", "--install", release, ROOT / "charts" / chart]
    command += ["--namespace", into, "--kubeconfig", cluster.kubeconfig, "--values", file, *flags]
    _run(command, f"helm install {release} on {cluster.name}")


def rolled_out(cluster: Cluster, in_namespace: str) -> None:
    """Wait until an upgrade has replaced every pod. An old operator would make pods that the new policy refuses."""
    patience = f"--timeout={PATIENCE_SECONDS:.0f}s"
    for each in kubectl(cluster, "get", "deployments", "-n", in_namespace, "-o", "name").split():
        kubectl(cluster, "rollout", "status", each, "-n", in_namespace, patience)


def kubectl(cluster: Cluster, *arguments: str, given: str | None = None) -> str:
    """Run kubectl and return its output. `given`: its standard input. Raises LabError with its errors."""
    command: list[str | Path] = [toolchain.tool("kubectl"), "--kubeconfig", cluster.kubeconfig, *arguments]
    return _run(command, f"kubectl {' '.join(arguments[:3])} on {cluster.name}", given)


def apply(cluster: Cluster, objects: list[Object], into: str) -> None:
    """kubectl apply --server-side. Without it, a Secret's annotation would hold a copy of the Secret."""
    kubectl(cluster, "apply", "--server-side", "--namespace", into, "-f", "-", given=yaml.safe_dump_all(objects))


def namespace(cluster: Cluster, name: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl(
        cluster,
        *("apply", "--server-side", "-f", "-"),
        given=yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}),
    )


def wait(event: str, met: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until `met` returns true. Raises LabError, which names the event, after `seconds`."""
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            raise LabError(
                f"waited {seconds:.0f} s for {event}. The clusters stay up: see `kubectl get pods -A` with "
                "KUBECONFIG=build/lab/NAME/kubeconfig, and docs/operations.md"
            )
        time.sleep(0.3)


def _install_hub(images: Images, progress: Progress) -> None:
    hub = named("hub")
    namespace(hub, HUB_NAMESPACE)
    apply(hub, [_store_certificate(), *_store_credentials(hub)], HUB_NAMESPACE)
    chosen: Object = {
        "image": images.operator.reference,
        "store": {
            "endpoint": STORE_ORIGIN,
            "image": images.store.reference,
            "tls": {"existingSecret": "store-tls"},
            "service": {"type": "NodePort", "nodePort": STORE_PORT},
        },
        "network": {"kubernetesAPI": _api_addresses(hub)},
    }
    helm(hub, "wardround-crds", "crds", HUB_NAMESPACE, {}, "--wait")
    helm(hub, "wardround-hub", "hub", HUB_NAMESPACE, chosen)
    api = Api(str(hub.kubeconfig))
    rolled_out(hub, HUB_NAMESPACE)
    wait("the hub to publish its fingerprint", lambda: api.get("ConfigMap", "wardround-hub", HUB_NAMESPACE) is not None)
    progress("hub: store and operator run")


def _prepare_site(name: str) -> None:
    """Make a hospital's namespace, volumes and claims, and install its CRDs. None of this needs the hub."""
    site = named(name)
    namespace(site, SITE_NAMESPACE)
    running = lifecycle.open_existing(name)
    written = (MODELS_CLAIM, ROWS_CLAIM, ANSWERS_CLAIM)
    for each in written:
        volumes.create(running.cluster, running.client, SITE_NAMESPACE, each)
    claims = [_claim(DATA_CLAIM, "ReadOnlyMany"), *(_claim(each, "ReadWriteOnce") for each in written)]
    apply(site, claims, SITE_NAMESPACE)
    helm(site, "wardround-crds", "crds", SITE_NAMESPACE, {}, "--wait")


def _store_certificate() -> Object:
    """A certificate for the store's names inside and outside the cluster, from a CA that the sites pin."""
    authority = Authority(WRITTEN / "store-pki", "store-ca", datetime.now(UTC))
    inner = f"store.{HUB_NAMESPACE}.svc"
    pair = authority.issue("store", STORE_HOST, client=False, serving=Names(dns=(STORE_HOST, inner)))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "store-tls"},
        "type": "kubernetes.io/tls",
        "stringData": {
            "tls.crt": pair.certificate.read_text(encoding="ascii"),
            "tls.key": pair.key.read_text(encoding="ascii"),
            "ca.crt": authority.certificate.read_text(encoding="ascii"),
        },
    }


def _store_credentials(hub: Cluster) -> list[Object]:
    """The store's credentials. They are made only once, because the store's content outlives a second install."""
    if Api(str(hub.kubeconfig)).get("Secret", "store-credentials", HUB_NAMESPACE) is not None:
        return []
    content = {"accessKey": f"wardround-{secrets.token_hex(4)}", "secretKey": secrets.token_urlsafe(32)}
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store-credentials"}, "stringData": content}]


def _claim(name: str, mode: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "resources": {"requests": {"storage": volumes.DEFAULT_SIZE}},
        },
    }


def _api_addresses(cluster: Cluster) -> list[Object]:
    """The addresses to which the Service `kubernetes` leads, as the documentation says."""
    selector = "kubernetes.io/service-name=kubernetes"
    slices = json.loads(kubectl(cluster, "get", "endpointslices", "-n", "default", "-l", selector, "-o", "json"))
    return [
        {"cidr": f"{address}/32", "port": port["port"]}
        for each in slices["items"]
        for port in each["ports"]
        for endpoint in each["endpoints"]
        for address in endpoint["addresses"]
    ]


def merged(base: Object, over: Mapping[str, Any] | None) -> Object:
    """Values with other values merged into them, mapping by mapping, like Helm merges several files."""
    result = dict(base)
    for key, value in (over or {}).items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _run(command: Sequence[str | Path], action: str, given: str | None = None) -> str:
    done = subprocess.run([str(each) for each in command], input=given, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{action} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
