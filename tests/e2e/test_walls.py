"""The launcher alone, on a real cluster: pods without NetworkPolicy, gate and sidecar.

They are shaped as training pods are, and one runs the same probes without the launcher: what opens there, does not
open here for any other reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.images import Images
from tests.e2e.clusters import PATIENCE_SECONDS, Kubectl
from tests.e2e.federation import Federation
from tests.probes import calls
from tests.probes.findings import findings
from wardround.api.names import USER

Object = dict[str, Any]
SITE = "site-a"
# The launcher's path in a training pod.
LAUNCH = "/wardround/launcher/launch"
PROBE = Path(calls.__file__).read_text("utf-8")
# Each is an init container of one pod.
WAYS = {
    "bare": [],
    "launched": [LAUNCH, "--"],
    "local": [LAUNCH, "--local-sockets", "--"],
}
PLACE = "from wardround.pod import folders, launcher; launcher.place(folders.Folders.from_environment())"
# Runs under a second launcher, so that the pod continues after it.
MISSING = f"{LAUNCH} -- no-such-trainer train; echo ENDED $?"
TORCH = """
import asyncio, multiprocessing, torch
class Rows(torch.utils.data.Dataset):
    __len__ = lambda self: 8
    __getitem__ = lambda self, index: torch.full((4,), float(index))
total = sum(float(batch.sum()) for batch in torch.utils.data.DataLoader(Rows(), 2, num_workers=2))
with multiprocessing.Manager() as manager:
    shared = manager.list([total])
    worker = multiprocessing.get_context("fork").Process(target=shared.append, args=(1.0,))
    worker.start(); worker.join()
    print("TRAINED", asyncio.run(asyncio.sleep(0, list(shared))))
"""


@pytest.fixture(scope="module")
def answers(federation: Federation) -> Iterator[dict[str, str]]:
    """The log of each container."""
    kubectl, place = federation.kubectl(SITE), federation.name("only-the-launcher")
    with kubectl.namespace(place):
        kubectl.apply(_pod(place, federation.images))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("wait", "pod/probe", "-n", place, done, f"--timeout={PATIENCE_SECONDS:.0f}s")
        yield {name: kubectl("logs", "-n", place, "probe", "-c", name) for name in (*WAYS, "missing", "torch")}


def test_no_policy_selects_these_pods(federation: Federation, answers: dict[str, str]) -> None:
    kubectl: Kubectl = federation.kubectl(SITE)
    assert kubectl.get("networkpolicies", "-n", federation.name("only-the-launcher"))["items"] == []
    assert answers


def test_without_the_launcher_every_kind_of_socket_opens(answers: dict[str, str]) -> None:
    bare = _answers(answers["bare"])
    assert {f"{family} {kind}" for family in ("UNIX", "INET", "INET6") for kind in ("stream", "datagram")} <= {
        name for name, answer in bare.items() if answer == "open"
    }
    assert bare["interfaces"] == bare["a static program"] == bare["process_vm_readv"] == "open"
    assert bare["int 0x80"] != "SIGSYS"
    assert bare["x32"] != "SIGSYS"


def test_under_the_launcher_only_unix_sockets_open(answers: dict[str, str]) -> None:
    """Tried from Python, from a static program, by int 0x80 and by x32 numbers."""
    launched = _answers(answers["launched"])
    assert calls.sockets(launched) == {"UNIX stream", "UNIX datagram", "UNIX raw", "UNIX pair"}
    assert launched["int 0x80"] == launched["x32"] == "SIGSYS"


def test_access_to_other_processes_is_refused(answers: dict[str, str]) -> None:
    launched = _answers(answers["launched"])
    assert {launched[f"io_uring_{name}"] for name in ("setup", "enter", "register")} == {"ENOSYS"}
    refused = ("pidfd_getfd", *calls.NUMBERS["x86_64"])
    assert {name: launched[name] for name in refused} == dict.fromkeys(refused, "EPERM")
    assert launched["core"] == "1,1"


def test_no_code_leaves_a_queue_in_its_pod(answers: dict[str, str]) -> None:
    """Queues of POSIX belong to the pod: the code of the next model would see their names."""
    assert _answers(answers["bare"])["queue"] == "open"
    assert _answers(answers["launched"])["queue"] == _answers(answers["local"])["queue"] == "EMFILE"


def test_local_sockets_add_only_ip(answers: dict[str, str]) -> None:
    launched, local = _answers(answers["launched"]), _answers(answers["local"])
    opened = calls.sockets(local) - calls.sockets(launched)
    assert {name.split()[0] for name in opened if name in calls.BY_FAMILY} == {"INET", "INET6", "NETLINK"}
    assert local["netlink of the packet filter"] == "EAFNOSUPPORT"
    assert local["int 0x80"] == local["x32"] == "SIGSYS"


def test_torch_with_workers_and_managers_runs_under_the_launcher(answers: dict[str, str]) -> None:
    assert "TRAINED [112.0, 1.0]" in answers["torch"]


def test_the_log_names_a_command_that_the_image_lacks(answers: dict[str, str]) -> None:
    assert "launch: this image has no program no-such-trainer" in answers["missing"]
    assert "ENDED 127" in answers["missing"]


def _answers(text: str) -> dict[str, str]:
    results: dict[str, str] = findings(text)["said"]
    return results


def _pod(namespace: str, images: Images) -> Object:
    """Containers like those of `wardround.manifests.training`, without gate and sidecar."""
    probes = [
        _container(name, images.trainer.reference, [*words, "python", "-c", PROBE]) for name, words in WAYS.items()
    ]
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            _container("prepare", images.operator.reference, ["python", "-c", PLACE], read_only=False),
            *probes,
            _container("missing", images.trainer.reference, [LAUNCH, "--", "sh", "-c", MISSING]),
        ],
        "containers": [_container("torch", images.trainer.reference, [LAUNCH, "--", "python", "-c", TORCH])],
        "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}, {"name": "scratch", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": namespace}, "spec": spec}


def _container(name: str, image: str, command: list[str], *, read_only: bool = True) -> Object:
    launcher = {"name": "memory", "mountPath": "/wardround/launcher", "subPath": "launcher", "readOnly": read_only}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [launcher, {"name": "scratch", "mountPath": "/tmp"}],
    }
