"""The fixtures that several folders share: an API server with our charts, and a store. Each folder gets its own ones,
because the hub operator that runs in one folder would look after the objects of the others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab import toolchain
from lab.apiserver import apiserver
from tests.integration.api.apiserver import Api
from tests.integration.cluster import Helm, install
from tests.players.store import Server, serving


def pytest_configure(config: pytest.Config) -> None:
    # The lab's processes outlive the objects that started them. The fixture stops them by PID.
    config.addinivalue_line("filterwarnings", "ignore:subprocess .* is still running:ResourceWarning")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Fixtures of a session live once for each parameter. So with the folder as the parameter, they live once for each
    folder, and end with its last test."""
    if "folder_name" in metafunc.fixturenames:
        name = metafunc.definition.path.parent.name
        metafunc.parametrize("folder_name", [name], indirect=True, scope="session", ids=[pytest.HIDDEN_PARAM])


@pytest.fixture(scope="session")
def folder_name(request: pytest.FixtureRequest) -> str:
    """The folder of the test."""
    return str(request.param)


@pytest.fixture(scope="session")
def bare(folder_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The administrator of a cluster without any of our objects."""
    with apiserver(tmp_path_factory.mktemp(f"apiserver-{folder_name}")) as server:
        api = Api(server.kubeconfig)
        yield api
        api.close()


@pytest.fixture(scope="session")
def helm(bare: Api, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(toolchain.tool("helm"), bare.kubeconfig, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def kubectl(bare: Api) -> Callable[..., subprocess.CompletedProcess[str]]:
    binary = toolchain.tool("kubectl")

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(binary), "--kubeconfig", str(bare.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=stdin)

    return run


@pytest.fixture(scope="session")
def api(bare: Api, helm: Helm) -> Api:
    """The administrator of a cluster with a hub, two participants enrolled, and both their sites."""
    install(bare, helm)
    return bare


@pytest.fixture(scope="session")
def server(folder_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 store with TLS on loopback."""
    with serving(tmp_path_factory.mktemp(f"store-{folder_name}")) as running:
        yield running
