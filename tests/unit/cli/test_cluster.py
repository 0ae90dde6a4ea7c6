"""The use of a kubeconfig: contexts, namespaces, and users that impersonate."""

from pathlib import Path

import pytest
import yaml

from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError


def kubeconfig(folder: Path, **more: object) -> str:
    """A kubeconfig with the contexts `hub` and `site`, which have namespaces, and `bare`, which has none."""
    fields = {"hub": {"namespace": "breast-cancer"}, "site": {"namespace": "hospital-a"}, "bare": {}}
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u", **more}} for name, more in fields.items()]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": contexts,
        **more,
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize(
    ("context", "namespace"),
    [(None, "breast-cancer"), ("hub", "breast-cancer"), ("site", "hospital-a"), ("bare", "default")],
)
def test_the_default_namespace_is_the_contexts(context: str | None, namespace: str, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, **{"current-context": "hub"})
    assert Cluster(file, context).default_namespace == namespace


@pytest.mark.parametrize("current", [{}, {"current-context": ""}])
def test_a_named_context_needs_no_current_context(current: dict[str, str], tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, **current)
    assert Cluster(file, "site").default_namespace == "hospital-a"
    with pytest.raises(CommandError, match="If it has several contexts"):
        _ = Cluster(file).default_namespace


def test_a_missing_context_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"The command found no usable kubeconfig: .*elsewhere"):
        _ = Cluster(kubeconfig(tmp_path), "elsewhere").default_namespace


def test_a_missing_kubeconfig_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no configuration found"):
        _ = Cluster(str(tmp_path / "absent"), "site").default_namespace


@pytest.mark.parametrize("field", [{"as": "alice"}, {"as-groups": ["auditors"]}, {"as-user-extra": {"a": ["b"]}}])
def test_a_user_that_impersonates_is_refused(field: dict[str, object], tmp_path: Path) -> None:
    users = [{"name": "u", "user": {"token": "t", **field}}]
    file = kubeconfig(tmp_path, **{"current-context": "hub", "users": users})
    with pytest.raises(CommandError, match="cannot use user u of the kubeconfig"):
        Cluster(file).get("Participant", "site-a", "site-a")
