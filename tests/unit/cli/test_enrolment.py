"""Enrolling and approving a hospital."""

import base64
import stat
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from wardround.cli import enrolment, verbs
from wardround.cli.arguments import hospital, target
from wardround.cli.cluster import Cluster, Object
from wardround.cli.commands.hospitals import run_enrol
from wardround.cli.errors import CommandError, ForbiddenError
from wardround.cli.terminal import write_private
from wardround.kubectl import main, parser
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


def test_a_manifest_keeps_the_participants_settings_at_the_hub() -> None:
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


def test_defaults_of_the_crd_are_not_in_a_manifest() -> None:
    """In Git, `suspend: false` would end a suspension that people have set at the hub."""
    crd = yaml.safe_load((ROLES.parents[3] / "crds/participants.yaml").read_text())
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    by_default = {name: field["default"] for name, field in fields.items() if "default" in field}
    assert by_default == {"allowedFederations": [], **enrolment.DEFAULTS}
    before: Object = {"metadata": {}, "spec": {"displayName": "A", **by_default}}
    made = enrolment.participant("site-a", "", [], before)
    assert made["spec"] == {"displayName": "A", "allowedFederations": []}
    assert enrolment.changes(before, made) == []


def test_the_quota_counts_every_kind_that_a_hospital_may_create() -> None:
    """Each kind that the chart's role may create needs a line in the quota. Otherwise a hospital could fill etcd."""
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


def test_hospitals_neither_lend_nor_borrow_seats() -> None:
    levels = [enrolment.manifests(name, "", [])[-2] for name in ("site-a", "site-b")]
    assert len({each["metadata"]["name"] for each in levels}) == 2
    for each in levels:
        assert (each["spec"]["limited"]["lendablePercent"], each["spec"]["limited"]["borrowingLimitPercent"]) == (0, 0)


@pytest.mark.parametrize("forbidden", ["PriorityLevelConfiguration", "FlowSchema"])
def test_enrol_without_rights_for_flow_control_can_omit_it(forbidden: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Hub:
        server = "https://hub.example"

        def get(self, kind: str, name: str, namespace: str | None = None) -> None:
            return None

        def apply(self, item: Object) -> None:
            if item["kind"] == forbidden:
                raise ForbiddenError("You may not.")

    hub = cast(Cluster, Hub())
    with pytest.raises(
        ForbiddenError,
        match=r"You may not\. The command has applied the manifests that come before this one\. .*--no-flow",
    ):
        run_enrol(hub, parser().parse_args(["enrol", "site-d", "--apply"]))
    assert run_enrol(hub, parser().parse_args(["enrol", "site-d", "--apply", "--no-flow-control"])) == 0
    assert "applied RoleBinding" in capsys.readouterr().err
    assert run_enrol(hub, parser().parse_args(["enrol", "site-d", "--no-flow-control"])) == 0
    assert "flowcontrol" not in capsys.readouterr().out


def test_enrol_says_that_it_could_not_see_whose_the_namespace_is(capsys: pytest.CaptureFixture[str]) -> None:
    class Hub:
        server = "https://hub.example"

        def get(self, kind: str, name: str, namespace: str | None = None) -> None:
            if kind == "Namespace":
                raise ForbiddenError("You may not.")

    assert run_enrol(cast(Cluster, Hub()), parser().parse_args(["enrol", "site-d"])) == 0
    output = capsys.readouterr()
    assert "does not know whether this namespace belongs to somebody else" in output.err
    assert "kind: Participant" in output.out


@pytest.mark.parametrize("name", ["Site_D", "", "-a", "a-", "a.b", "a" * 64, "ä", "site-a\n"])
def test_a_name_that_is_no_valid_namespace_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="at most 63 lower-case letters"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", "--", name]))
    with pytest.raises(CommandError, match="cannot be a federation"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", f"--federation={name}", "site-d"]))


@pytest.mark.parametrize("name", ["y", "n", "08", "1e3", "17e5", "0o17", "0b2"])
def test_a_name_that_yaml_may_read_as_no_text_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="could read it as a number, or as true or false"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", name]))


@pytest.mark.parametrize("name", ["kube-system", "kube-node-lease", "kube-x", "default", "wardround-hub"])
def test_a_namespace_of_kubernetes_or_the_hub_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--apply"], ["--bootstrap", "/nonexistent"]):
        with pytest.raises(CommandError, match=r"a quota of one Lease .* Give the hospital a name"):
            run_enrol(cast(Cluster, None), parser().parse_args(["enrol", name, *more]))
    assert capsys.readouterr().out == ""


def test_another_namespace_of_the_hub_is_refused() -> None:
    with pytest.raises(CommandError, match="is the hub's own"):
        run_enrol(cast(Cluster, None), parser().parse_args(["enrol", "fl", "--hub-namespace", "fl"]))
    arguments = ["enrol", "site-d", "--new", "--hub-namespace", "fl"]
    assert run_enrol(cast(Cluster, None), parser().parse_args(arguments)) == 0


def test_a_command_without_requests_needs_no_kubeconfig(capsys: pytest.CaptureFixture[str]) -> None:
    absent = ("--kubeconfig", "/nonexistent/kubeconfig")
    assert main(["enrol", "Site_D", *absent]) == 2
    assert "'Site_D' cannot be a hospital's name" in capsys.readouterr().err
    assert main(["explain", "pod/x", *absent]) == 2
    assert "'pod/x' does not name an object" in capsys.readouterr().err
    assert main(["enrol", "site-d", "--new", *absent]) == 0
    assert "kind: Participant" in capsys.readouterr().out
    needing = (["enrol", "site-d"], ["enrol", "site-d", "--apply"], ["approve", "site-d"], ["watch", "fr/train-1"])
    for arguments in needing:
        assert main([*arguments, *absent]) == 2
        assert "The command found no usable kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        ("federatedround.wardround.io/x", "FederatedRound"),
        ("federatedrounds.wardround.io/x", "FederatedRound"),
        ("sitetask.wardround.io/x", "SiteTask"),
        ("fr/x", "FederatedRound"),
    ],
)
def test_names_as_kubectl_prints_them_are_accepted(printed: str, kind: str) -> None:
    assert target(printed) == (kind, "x")


@pytest.mark.parametrize("argument", ["site-d", "participant/site-d", "participant.wardround.io/site-d", "ptc/site-d"])
def test_a_hospital_is_named_by_name_or_kind_and_name(argument: str) -> None:
    assert hospital(argument) == "site-d"
    for wrong in ("sitetask/x", "participant.example.org/x", "participant/"):
        with pytest.raises(CommandError):
            hospital(wrong)


@pytest.mark.parametrize("name", ["a", "site-d", "0-0", "4711", "0x1f", "a" * 63, "kubernetes", "default-clinic"])
def test_a_valid_namespace_is_a_valid_hospital(name: str) -> None:
    enrolment.check_hospital(name, "wardround-hub")


def test_the_fingerprint_is_computed_from_the_keys() -> None:
    assert enrolment.fingerprint_to_pin(participant()) == participant_fingerprint(SIGNING, DECRYPTION)


def test_a_published_fingerprint_that_differs_from_the_keys_is_never_pinned() -> None:
    with pytest.raises(CommandError, match="pinned nothing"):
        enrolment.fingerprint_to_pin(participant(published="sha256:" + "0" * 64))


def test_a_participant_without_keys_cannot_be_approved() -> None:
    with pytest.raises(CommandError, match="has not sent its keys yet"):
        enrolment.fingerprint_to_pin(participant(keys=False))


def test_an_expected_fingerprint_that_differs_is_refused() -> None:
    with pytest.raises(CommandError, match="by telephone"):
        enrolment.check_expected("sha256:a", "sha256:b")


def test_a_hub_without_published_facts_is_an_error() -> None:
    with pytest.raises(CommandError, match="--hub-namespace"):
        enrolment.hub_facts(None, "wardround-hub")


def test_site_values_pin_the_hub_and_its_store() -> None:
    config_map = {"data": {"fingerprint": "sha256:a", "storeOrigin": "https://store", "storeCABundle": "PEM"}}
    values = enrolment.site_values("site-a", enrolment.hub_facts(config_map, "wardround-hub"))
    assert values["hub"] == {"participantNamespace": "site-a", "fingerprint": "sha256:a"}
    assert values["store"] == {"origin": "https://store", "caBundle": "PEM"}


def test_only_the_owner_can_read_credentials(tmp_path: Path) -> None:
    path = tmp_path / "site-a.yaml"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("hub_server", ["", "https://hub.example:6443"])
def test_enrol_reports_the_hubs_url_and_a_replaced_file(
    hub_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bootstrap(_: Cluster, name: str, server: str | None, namespace: str) -> tuple[Object, Object]:
        facts = enrolment.HubFacts(f"sha256:{'0a' * 32}", "https://store.example", "")
        given = server or "https://10.0.0.1:6443"
        return enrolment.credentials(name, given, "", "secret"), enrolment.site_values(name, facts)

    monkeypatch.setattr(verbs, "bootstrap", bootstrap)
    file = tmp_path / "site-a.yaml"
    for times in (1, 2):
        options = parser().parse_args(["enrol", "site-a", "--bootstrap", str(file), "--hub-server", hub_server])
        assert run_enrol(cast(Cluster, None), options) == 0
        output = capsys.readouterr().err
        assert (hub_server or "https://10.0.0.1:6443") in output
        assert ("as in your kubeconfig" in output) == (not hub_server)
        assert ("in place of" in output) == (times == 2)
        assert "secret" not in output


def test_targets_are_kind_and_name_with_short_names() -> None:
    assert target("fr/train-1") == ("FederatedRound", "train-1")
    assert target("sitetask/x") == ("SiteTask", "x")
    with pytest.raises(CommandError):
        target("pod/x")
