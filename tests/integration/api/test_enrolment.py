"""Enrolment of an enrolled hospital, on a real API server: its objects and decisions remain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api.apiserver import Api, Refused, until
from tests.integration.api.objects import DIGEST
from wardround.kubectl import main

Object = dict[str, Any]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]
NAME = "site-q"
# Decisions of people at the hub after the enrolment of a hospital.
DECIDED: Object = {"keyFingerprint": DIGEST, "maxSamples": 500, "suspend": True}
LABELS = {"region": "north"}


class Admin:
    """An administrator of the hub with the command line and kubectl."""

    def __init__(self, api: Api, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
        self._api, self._kubectl, self._capsys = api, kubectl, capsys

    def enrol(self, *arguments: str) -> tuple[str, str]:
        """Runs `enrol`. Returns its standard output and its standard error."""
        assert main(["enrol", NAME, *arguments, "--kubeconfig", str(self._api.kubeconfig)]) == 0
        output = self._capsys.readouterr()
        return output.out, output.err

    def apply(self, text: str, *flags: str) -> None:
        done = self._kubectl("apply", *flags, "-f", "-", stdin=text)
        assert done.returncode == 0, done.stderr

    def participant(self) -> Object:
        return self._api.get("Participant", NAME, NAME)


@pytest.fixture
def admin(api: Api, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]) -> Iterator[Admin]:
    """An administrator of a hub with an enrolled hospital and later decisions about it."""
    here = Admin(api, kubectl, capsys)
    made, output = here.enrol("--display-name", "Hospital Q", "--federation", "breast-cancer")
    assert f"has no Participant {NAME} yet" in output
    here.apply(made)
    api.patch("Participant", NAME, {"metadata": {"labels": LABELS}, "spec": DECIDED}, NAME)
    yield here
    api.delete("Participant", NAME, NAME)


def test_the_documented_upgrade_of_an_enrolment_changes_nothing(admin: Admin) -> None:
    before = admin.participant()
    printed, report = admin.enrol()
    assert "these manifests change nothing in its Participant" in report
    assert "kubectl diff -f -" in report
    admin.apply(printed)
    after = admin.participant()
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == LABELS
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    # As a tool that owns all fields that it applies.
    admin.apply(admin.enrol()[0], "--server-side", "--force-conflicts")
    assert admin.participant()["spec"] == before["spec"]


def test_a_flag_of_enrol_changes_only_its_field_and_is_reported(admin: Admin) -> None:
    before = admin.participant()["spec"]
    _, report = admin.enrol("--apply", "--federation", "lung")
    assert 'spec.allowedFederations: [{"namespace": "breast-cancer"}] -> ' in report
    assert f"applied Participant {NAME}" in report
    both = [{"namespace": "breast-cancer"}, {"namespace": "lung"}]
    assert admin.participant()["spec"] == {**before, "allowedFederations": both}


def test_enrol_does_not_take_over_a_namespace_of_another_team(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    administrator = ("--kubeconfig", str(api.kubeconfig))
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "of-a-team"}})
    for more in ([], ["--apply"]):
        assert main(["enrol", "of-a-team", *more, *administrator]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert "has a namespace of-a-team already" in output.err
    with pytest.raises(Refused) as absent:
        api.get("ResourceQuota", "participant", "of-a-team")
    assert absent.value.status == 404
    # As the message advises, if the namespace was made for the hospital.
    assert "kubectl label namespace of-a-team wardround.io/participant=of-a-team" in output.err
    api.patch("Namespace", "of-a-team", {"metadata": {"labels": {"wardround.io/participant": "of-a-team"}}}, "")
    assert main(["enrol", "of-a-team", *administrator]) == 0
    assert "kind: Participant" in capsys.readouterr().out
    api.delete("Namespace", "of-a-team", "")


def bearer(api: Api, folder: Path, namespace: str) -> Path:
    """Writes a kubeconfig with a token of a hospital's account."""
    content: Object = yaml.safe_load(api.kubeconfig.read_text())
    [user] = content["users"]
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/site/token"
    user["user"] = {"token": api.call("POST", path, request)["status"]["token"]}
    kubeconfig = folder / f"{namespace}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))
    return kubeconfig


def test_enrol_prints_no_manifest_without_the_right_to_read_the_participant(
    admin: Admin, api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = bearer(api, tmp_path, "site-b")
    command = ["enrol", NAME, "--kubeconfig", str(kubeconfig)]
    for more in ([], ["--apply"]):
        assert main([*command, *more]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert "If the hospital site-q is new at this hub, use --new" in output.err
    assert main([*command, "--new"]) == 0
    assert "kind: Participant" in capsys.readouterr().out


def test_a_revoked_token_stays_revoked_after_another_enrolment(
    admin: Admin, api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig, administrator = bearer(api, tmp_path, NAME), ("--kubeconfig", str(api.kubeconfig))

    def refused() -> bool:
        """Whether the API server does not know the token's holder. A known holder without rights gets 403."""
        capsys.readouterr()
        assert main(["explain", f"participant/{NAME}", "--kubeconfig", str(kubeconfig)]) in (0, 2)
        return "The cluster refuses your credentials" in capsys.readouterr().err

    assert not refused()
    assert main(["revoke", NAME, *administrator]) == 0
    report = capsys.readouterr().err
    assert f"enrol {NAME} --apply --hub-server URL --bootstrap FILE" in report
    # The API server caches a valid token for ten seconds.
    until("the token is taken no more", refused)
    admin.enrol("--apply")
    assert refused()
    fresh = bearer(api, tmp_path, NAME)
    assert main(["explain", f"participant/{NAME}", "--kubeconfig", str(fresh)]) == 0
    assert admin.participant()["spec"]["keyFingerprint"] == DIGEST


def test_a_second_revoke_changes_nothing_and_says_so(
    admin: Admin, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    administrator = ("--kubeconfig", str(api.kubeconfig))
    assert main(["revoke", NAME, *administrator]) == 0
    report = capsys.readouterr().err
    assert f"The command has revoked {NAME}: within seconds" in report
    assert "A watch that the site has already open continues until its connection ends" in report
    assert main(["revoke", NAME, *administrator]) == 0
    report = capsys.readouterr().err
    assert f"{NAME} is revoked already" in report
    assert f"enrol {NAME} --apply --hub-server URL --bootstrap FILE" in report
    admin.enrol("--apply")

    assert main(["revoke", "site-nowhere", *administrator]) == 2
    assert "has no hospital site-nowhere" in capsys.readouterr().err
