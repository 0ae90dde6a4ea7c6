"""Enrolling and approving a hospital."""

import base64
import stat
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from wardround.cli import enrolment, verbs
from wardround.cli.__main__ import hospital, main, parser, run_enrol, target, write_private
from wardround.cli.cluster import Cluster, CommandError, ForbiddenError, Object
from wardround.sealing.keys import participant_fingerprint

ROLES = Path(__file__).parents[3] / "charts/hub/templates/rbac.yaml"
SIGNING, DECRYPTION = b"spki", b"k" * 1216


def participant(published: str | None = None, keys: bool = True) -> dict[str, Any]:
    encoded = {"signing": base64.b64encode(SIGNING).decode(), "decryption": base64.b64encode(DECRYPTION).decode()}
    status = {"fingerprint": published, "site": {"keys": encoded} if keys else {}}
    return {"metadata": {"name": "site-a", "namespace": "site-a"}, "spec": {}, "status": status}


def test_the_manifests_hold_no_fingerprint_and_bind_the_fixed_role() -> None:
    items = {item["kind"]: item for item in enrolment.manifests("site-a", "University hospital", ["breast-cancer"])}
    in_the_namespace = ["ResourceQuota", "Participant", "ServiceAccount", "RoleBinding"]
    assert list(items) == ["Namespace", *in_the_namespace, "PriorityLevelConfiguration", "FlowSchema"]
    assert "keyFingerprint" not in items["Participant"]["spec"]
    assert items["Participant"]["metadata"] == {"name": "site-a", "namespace": "site-a"}
    assert items["Participant"]["spec"]["allowedFederations"] == [{"namespace": "breast-cancer"}]
    assert items["RoleBinding"]["roleRef"]["name"] == "wardround-participant"


def test_what_a_participant_has_at_the_hub_stays_in_its_manifest() -> None:
    spec = {
        "displayName": "University hospital",
        "suspend": True,
        "keyFingerprint": "sha256:" + "0" * 64,
        "allowedFederations": [{"namespace": "lung"}, {"namespace": "breast-cancer"}],
        "maxSamples": 500,
    }
    metadata = {
        "name": "site-a",
        "labels": {"region": "north"},
        "annotations": {enrolment.LAST_APPLIED: "{}", "example.org/owner": "it"},
        "managedFields": [{}],
    }
    before = {"metadata": metadata, "spec": spec}
    made = enrolment.participant("site-a", "", ["breast-cancer"], before)
    assert made["spec"] == spec
    assert made["metadata"]["labels"] == {"region": "north"}
    assert made["metadata"]["annotations"] == {"example.org/owner": "it"}
    assert enrolment.changes(before, made) == []
    more = enrolment.participant("site-a", "The university hospital", ["breast-cancer", "brain"], before)
    assert enrolment.changes(before, more) == [
        'spec.displayName: "University hospital" -> "The university hospital"',
        'spec.allowedFederations: [{"namespace": "lung"}, {"namespace": "breast-cancer"}] -> '
        '[{"namespace": "lung"}, {"namespace": "breast-cancer"}, {"namespace": "brain"}]',
    ]


def test_what_the_kind_sets_by_itself_is_not_written_into_git() -> None:
    """There `suspend: false` would take a hospital in again that people have suspended at the hub."""
    crd = yaml.safe_load((ROLES.parents[3] / "crds/participants.yaml").read_text())
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    by_default = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert by_default == {"allowedFederations": [], **enrolment.DEFAULTS}
    before: Object = {"metadata": {}, "spec": {"displayName": "A", **by_default}}
    made = enrolment.participant("site-a", "", [], before)
    assert made["spec"] == {"displayName": "A", "allowedFederations": []}
    assert enrolment.changes(before, made) == []


def test_all_that_a_hospitals_account_may_make_is_counted() -> None:
    """A right to create that is added to the chart needs its line in the quota, or it can fill the hub's etcd."""
    [role] = [each for each in ROLES.read_text().split("---") if "name: wardround-participant\n" in each]
    rules = yaml.safe_load(role[role.index("rules:") :])["rules"]
    made = {
        f"count/{kind}.{group}"
        for rule in rules
        if "create" in rule["verbs"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }
    [quota] = [item for item in enrolment.manifests("site-a", "A", []) if item["kind"] == "ResourceQuota"]
    not_stored = {"count/serviceaccounts/token."}
    assert made - not_stored == set(quota["spec"]["hard"])


def test_no_hospital_lends_or_borrows_turns() -> None:
    levels = [enrolment.manifests(name, "", [])[-2] for name in ("site-a", "site-b")]
    assert len({each["metadata"]["name"] for each in levels}) == 2
    for each in levels:
        assert (each["spec"]["limited"]["lendablePercent"], each["spec"]["limited"]["borrowingLimitPercent"]) == (0, 0)


@pytest.mark.parametrize("forbidden", ["PriorityLevelConfiguration", "FlowSchema"])
def test_who_may_make_no_flow_control_can_leave_it_out(forbidden: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Hub:
        server = "https://hub.example"

        def get(self, kind: str, name: str, namespace: str) -> None:
            return None

        def apply(self, item: Object) -> None:
            if item["kind"] == forbidden:
                raise ForbiddenError("You may not.")

    hub = cast(Cluster, Hub())
    with pytest.raises(ForbiddenError, match=r"You may not\. Everything else is applied\. --no-flow-control leaves"):
        run_enrol(hub, parser().parse_args(["enrol", "site-d", "--apply"]))
    assert run_enrol(hub, parser().parse_args(["enrol", "site-d", "--apply", "--no-flow-control"])) == 0
    assert "applied RoleBinding" in capsys.readouterr().err
    assert run_enrol(hub, parser().parse_args(["enrol", "site-d", "--no-flow-control"])) == 0
    assert "flowcontrol" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Site_D", "", "-a", "a-", "a.b", "a" * 64, "ä", "site-a\n"])
def test_a_name_that_no_namespace_can_have_is_refused_with_what_one_may_be(name: str) -> None:
    with pytest.raises(CommandError, match="at most 63 lower-case letters"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", "--", name]))
    with pytest.raises(CommandError, match="cannot be a federation"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", f"--federation={name}", "site-d"]))


@pytest.mark.parametrize("name", ["kube-system", "kube-node-lease", "kube-x", "default", "wardround-hub"])
def test_a_namespace_that_others_run_in_is_no_hospitals(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--apply"], ["--bootstrap", "/nonexistent"]):
        with pytest.raises(CommandError, match=r"a quota of one Lease .* Give the hospital a name"):
            run_enrol(cast(Cluster, None), parser().parse_args(["enrol", name, *more]))
    assert capsys.readouterr().out == ""


def test_where_the_hub_runs_elsewhere_that_namespace_is_its_own() -> None:
    with pytest.raises(CommandError, match="is the hub's own"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", "fl", "--hub-namespace", "fl"]))
    asked = ["enrol", "site-d", "--new", "--hub-namespace", "fl"]
    assert run_enrol(cast(Cluster, None), parser().parse_args(asked)) == 0


def test_what_needs_no_cluster_needs_no_kubeconfig(capsys: pytest.CaptureFixture[str]) -> None:
    absent = ("--kubeconfig", "/nonexistent/kubeconfig")
    assert main(["enrol", "Site_D", *absent]) == 2
    assert "'Site_D' cannot be a hospital's name" in capsys.readouterr().err
    assert main(["explain", "pod/x", *absent]) == 2
    assert "'pod/x' is not KIND/NAME" in capsys.readouterr().err
    assert main(["enrol", "site-d", "--new", *absent]) == 0
    assert "kind: Participant" in capsys.readouterr().out
    for asks in (["enrol", "site-d"], ["enrol", "site-d", "--apply"], ["approve", "site-d"], ["watch", "fr/train-1"]):
        assert main([*asks, *absent]) == 2
        assert "No kubeconfig can be used here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        ("federatedround.wardround.io/x", "FederatedRound"),
        ("federatedrounds.wardround.io/x", "FederatedRound"),
        ("sitetask.wardround.io/x", "SiteTask"),
        ("fr/x", "FederatedRound"),
    ],
)
def test_what_kubectl_prints_as_a_name_is_one(printed: str, kind: str) -> None:
    assert target(printed) == (kind, "x")


@pytest.mark.parametrize("given", ["site-d", "participant/site-d", "participant.wardround.io/site-d", "ptc/site-d"])
def test_a_hospital_is_named_by_itself_or_as_kubectl_prints_it(given: str) -> None:
    assert hospital(given) == "site-d"
    for wrong in ("sitetask/x", "participant.example.org/x", "participant/"):
        with pytest.raises(CommandError):
            hospital(wrong)


@pytest.mark.parametrize("name", ["a", "site-d", "0-0", "a" * 63, "kubernetes", "default-clinic"])
def test_a_namespaces_name_is_a_hospitals(name: str) -> None:
    enrolment.check_hospital(name, "wardround-hub")


def test_the_fingerprint_is_computed_from_the_keys_not_taken_from_status() -> None:
    assert enrolment.fingerprint_to_pin(participant()) == participant_fingerprint(SIGNING, DECRYPTION)


def test_a_published_fingerprint_that_differs_from_the_keys_is_never_pinned() -> None:
    with pytest.raises(CommandError, match="Nothing is pinned"):
        enrolment.fingerprint_to_pin(participant(published="sha256:" + "0" * 64))


def test_without_keys_there_is_nothing_to_approve() -> None:
    with pytest.raises(CommandError, match="has not sent its keys yet"):
        enrolment.fingerprint_to_pin(participant(keys=False))


def test_an_expected_fingerprint_that_differs_is_refused() -> None:
    with pytest.raises(CommandError, match="another channel"):
        enrolment.check_expected("sha256:a", "sha256:b")


def test_a_hub_that_has_not_published_its_facts_says_what_to_check() -> None:
    with pytest.raises(CommandError, match="--hub-namespace"):
        enrolment.hub_facts(None, "wardround-hub")


def test_site_values_pin_the_hub_and_its_store() -> None:
    config_map = {"data": {"fingerprint": "sha256:a", "storeOrigin": "https://store", "storeCABundle": "PEM"}}
    values = enrolment.site_values("site-a", enrolment.hub_facts(config_map, "wardround-hub"))
    assert values["hub"] == {"participantNamespace": "site-a", "fingerprint": "sha256:a"}
    assert values["store"] == {"origin": "https://store", "caBundle": "PEM"}


def test_credentials_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "site-a.yaml"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("asked", ["", "https://hub.example:6443"])
def test_the_person_is_told_which_server_was_written_and_what_was_replaced(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bootstrap(_: Cluster, name: str, server: str | None, namespace: str) -> tuple[Object, Object]:
        return enrolment.credentials(name, server or "https://10.0.0.1:6443", "", "secret"), {"hub": namespace}

    monkeypatch.setattr(verbs, "bootstrap", bootstrap)
    file = tmp_path / "site-a.yaml"
    for times in (1, 2):
        options = parser().parse_args(["enrol", "site-a", "--bootstrap", str(file), "--hub-server", asked])
        assert run_enrol(cast(Cluster, None), options) == 0
        said = capsys.readouterr().err
        assert (asked or "https://10.0.0.1:6443") in said
        assert ("from your kubeconfig" in said) == (not asked)
        assert ("in place of" in said) == (times == 2)
        assert "secret" not in said


def test_targets_are_kind_and_name_with_short_names() -> None:
    assert target("fr/train-1") == ("FederatedRound", "train-1")
    assert target("sitetask/x") == ("SiteTask", "x")
    with pytest.raises(CommandError):
        target("pod/x")
