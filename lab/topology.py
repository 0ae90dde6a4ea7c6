"""Names, addresses and folders of the lab's clusters. Pure."""

import string
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

ROOT = Path(__file__).resolve().parent.parent
# In every checkout.
STATE_FOLDER = Path("build", "lab")
STATE = ROOT / STATE_FOLDER
# Sockets need short paths. Runtime state must end with a reboot, like the processes.
RUNTIME = Path("/run/wardround")
# The lab's internet is a namespace with a bridge, separate from the machine's own network and firewall.
INTERNET = "wr-internet"
# The hub's ports that sites use: its API server and its object store.
API_PORT = 6443
STORE_PORT = 30443
DNS_ADDRESS = "10.96.0.10"
HOST_NAMES = ("hub.lab.internal", "store.lab.internal")
MOST_SITES = 20


@dataclass(frozen=True)
class Cluster:
    """A cluster of one node, which has the cluster's name. Index 0 is the hub."""

    name: str
    index: int
    state_root: Path = STATE

    @property
    def is_hub(self) -> bool:
        return self.index == 0

    @property
    def namespace(self) -> str:
        return f"wr-{self.name}"

    @property
    def netns(self) -> Path:
        return Path("/run/netns") / self.namespace

    @property
    def wan(self) -> str:
        """The cluster's address in the lab's internet."""
        return f"198.18.0.{1 if self.is_hub else 10 + self.index}"

    @property
    def management(self) -> str:
        """The address for the cluster's administrators. Only this machine reaches it, no pod and no other cluster."""
        return f"198.19.{self.index}.2"

    @property
    def management_peer(self) -> str:
        return f"198.19.{self.index}.1"

    @property
    def pods(self) -> str:
        return f"10.{80 + self.index}.0.0/16"

    @property
    def node_pods(self) -> str:
        return f"10.{80 + self.index}.0.0/24"

    @property
    def pod_gateway(self) -> str:
        return f"10.{80 + self.index}.0.1"

    @property
    def server(self) -> str:
        return f"https://{self.management}:{API_PORT}"

    @property
    def state(self) -> Path:
        return self.state_root / self.name

    @property
    def run(self) -> Path:
        return RUNTIME / self.name

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def images(self) -> Path:
        """containerd's folder of images and their layers."""
        return self.state / "containerd"

    @property
    def containers(self) -> Path:
        """The folder with one folder for each running container, named by its id."""
        return self.run / "runc" / "k8s.io"

    @property
    def cni_network(self) -> str:
        return f"wardround-{self.name}"


def clusters(sites: int) -> tuple[Cluster, ...]:
    """The hub and its sites, site-a first."""
    if not 1 <= sites <= MOST_SITES:
        raise LabError(f"the lab holds 1 to {MOST_SITES} sites, not {sites}")
    letters = string.ascii_lowercase[:sites]
    return (Cluster("hub", 0), *(Cluster(f"site-{letter}", n) for n, letter in enumerate(letters, 1)))


def existing() -> tuple[Cluster, ...]:
    """The clusters that have state in this checkout."""
    return tuple(cluster for cluster in clusters(MOST_SITES) if cluster.state.is_dir())


def named(name: str) -> Cluster:
    """The existing cluster of that name. Raises LabError if there is none."""
    for cluster in existing():
        if cluster.name == name:
            return cluster
    known = ", ".join(cluster.name for cluster in existing()) or "none: `python -m lab up` makes them"
    raise LabError(f"there is no lab cluster {name!r}; known are: {known}")
