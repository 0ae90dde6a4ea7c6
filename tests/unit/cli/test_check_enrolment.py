"""`kubectl wardround check-enrolment` accepts the two files as `enrol` writes them, and refuses everything else."""

from __future__ import annotations

import datetime
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from lab.pki import Authority
from wardround import kubectl
from wardround.cli import enrolment, verbs
from wardround.cli.cluster import Cluster
from wardround.cli.commands.hospitals import run_enrol
from wardround.cli.errors import CommandError

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2VjcmV0-_"
FINGERPRINT = "sha256:" + "0a" * 32
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Received:
    """The two files in a folder of the hospital."""

    values: Path
    credentials: Path
    capture: pytest.CaptureFixture[str]

    def check(self, *, alone: bool = False) -> tuple[int, str]:
        """The exit code of the command, and its output. `alone`: without the credentials."""
        files = [self.values] if alone else [self.values, self.credentials]
        code = kubectl.main(["check-enrolment", *map(str, files)])
        output = self.capture.readouterr()
        assert TOKEN not in output.out + output.err
        return code, output.out if code == 0 else output.err

    def faults(self) -> list[str]:
        """The faults of files that the command refuses."""
        code, output = self.check()
        assert code == 2
        first, *faults, advice = output.splitlines()
        assert first.startswith("error: ")
        assert "Do not apply credentials.yaml" in advice
        assert "by telephone" in advice
        return [each.replace(f"{self.values.parent}/", "") for each in faults]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PEM of a CA."""
    return Authority(tmp_path_factory.mktemp("ca"), "ca", NOW).certificate.read_text()


@pytest.fixture
def received(
    authority: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Received:
    """The files as `enrol` writes them, of a hub with a CA of its own."""
    return _enrolled(authority, tmp_path, monkeypatch, capsys)


def _enrolled(
    bundle: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Received:
    """Runs `enrol --bootstrap` with a hub that answers with these facts."""
    facts = enrolment.HubFacts(FINGERPRINT, "https://store.example:7070", bundle)

    def bootstrap(_: Cluster, name: str, server: str, __: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return enrolment.credentials(name, server, bundle, TOKEN), enrolment.site_values(name, facts)

    monkeypatch.setattr(verbs, "bootstrap", bootstrap)
    made = Received(folder / "from-hub.yaml", folder / "credentials.yaml", capsys)
    assert enrol(made, "https://hub.example:6443") == 0
    printed = capsys.readouterr()
    assert TOKEN not in printed.err
    made.values.write_text(printed.out)
    (folder / "message").write_text(printed.err)
    return made


def enrol(made: Received, server: str) -> int:
    arguments = ["enrol", "site-a", "--bootstrap", str(made.credentials), "--hub-server", server]
    return run_enrol(cast(Cluster, None), kubectl.parser().parse_args(arguments))


def test_the_files_of_enrol_pass_and_the_command_says_what_they_hold(received: Received) -> None:
    code, output = received.check()
    assert code == 0
    for each in ("site-a", "https://hub.example:6443", "https://store.example:7070", FINGERPRINT, "by telephone"):
        assert each in output
    message = (received.values.parent / "message").read_text()
    both = [each for each in output.splitlines() if each.startswith("  ")]
    assert [each for each in message.splitlines() if each.startswith("  ")] == both, "people compare the same lines"
    code, output = received.check(alone=True)
    assert code == 0
    assert FINGERPRINT in output
    assert "API server" not in output


@pytest.mark.parametrize("copies", [0, 2])
def test_the_files_of_a_hub_with_public_or_several_cas_pass(
    copies: int,
    authority: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = "".join(f"# CA number {number}: {'long words ' * 20}\n{authority}" for number in range(copies))
    code, output = _enrolled(bundle, tmp_path, monkeypatch, capsys).check()
    assert code == 0
    digest = sha256(ssl.PEM_cert_to_DER_cert(authority)).hexdigest()
    assert output.count("a public CA") == (0 if copies else 2)
    assert output.count(f"sha256:{digest}") == 2 * copies


def test_enrol_writes_no_file_that_the_check_would_refuse(received: Received) -> None:
    received.credentials.unlink()
    for server in ("https://hub.example/a?b", "https://user@hub.example", "http://hub.example"):
        with pytest.raises(CommandError, match=r"server is not an https URL\.\nCorrect the address"):
            enrol(received, server)
    assert not received.credentials.exists()


def test_the_files_pass_with_line_ends_of_another_system(received: Received) -> None:
    for each in (received.values, received.credentials):
        each.write_bytes(each.read_bytes().replace(b"\n", b"\r\n"))
    assert received.check()[0] == 0


@pytest.mark.parametrize("ends", ["", "\n\n"])
def test_the_files_pass_with_fewer_or_more_line_ends_after_the_last_line(received: Received, ends: str) -> None:
    for each in (received.values, received.credentials):
        each.write_text(each.read_text().rstrip("\n") + ends)
    assert received.check()[0] == 0


def changed(path: Path, change: Change) -> None:
    """Changes the item of a file, and writes it as `enrol` would."""
    item = yaml.safe_load(path.read_text())
    change(item)
    path.write_text(enrolment.as_text(item))


def into(*path: str, **values: object) -> Change:
    """Sets values under a path of keys."""

    def change(item: dict[str, Any]) -> None:
        for key in path:
            item = item[key]
        item.update({key.replace("_", "."): value for key, value in values.items()})

    return change


def test_values_of_the_site_chart_are_refused_by_their_paths(received: Received) -> None:
    changed(received.values, into(image="registry.example/evil@sha256:00", policy={"approval": "Policy"}))
    changed(received.values, into("hub", enrolmentSecretName="other"))
    changed(received.values, into("store", proxyURL="https://proxy.example"))
    assert received.check(alone=True)[0] == 2
    assert received.faults() == [
        "- from-hub.yaml: The key image must not be there.",
        "- from-hub.yaml: The key policy must not be there.",
        "- from-hub.yaml: The key hub.enrolmentSecretName must not be there.",
        "- from-hub.yaml: The key store.proxyURL must not be there.",
    ]


BINDING = """---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: helper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: User, name: hub, apiGroup: rbac.authorization.k8s.io}]
"""


def test_a_second_object_is_refused(received: Received) -> None:
    ours = received.credentials.read_text()
    for text in (f"{ours}{BINDING}", f"{BINDING}---\n{ours}"):
        received.credentials.write_text(text)
        assert received.faults() == ["- credentials.yaml: The file has 2 YAML documents instead of 1."]
    received.credentials.write_text(
        enrolment.as_text({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(ours)]})
    )
    faults = received.faults()
    assert "- credentials.yaml: The key items must not be there." in faults
    assert "- credentials.yaml: kind is not 'Secret'." in faults


SECRETS: dict[str, tuple[Change, str]] = {
    "name": (into("metadata", name="courier-keys"), "metadata.name is not 'hub-credentials'."),
    "namespace": (into("metadata", namespace="kube-system"), "The key metadata.namespace must not be there."),
    "labels": (into("metadata", labels={"owner": "helm"}), "The key metadata.labels must not be there."),
    "annotations": (into("metadata", annotations={}), "The key metadata.annotations must not be there."),
    "owners": (into("metadata", ownerReferences=[]), "The key metadata.ownerReferences must not be there."),
    "type": (into(type="helm.sh/release.v1"), "type is not 'Opaque'."),
    "kind": (into(kind="ConfigMap"), "kind is not 'Secret'."),
    "group": (into(apiVersion="v2"), "apiVersion is not 'v1'."),
    "data": (into(data={"signing": "AAAA"}), "The key data must not be there."),
    "immutable": (into(immutable=True), "The key immutable must not be there."),
    "more data": (into("stringData", signing="AAAA"), "The key stringData.signing must not be there."),
    "terminal": (into(**{"\x1b[2J": "x"}), "The key  [2J must not be there."),
    "no mapping": (into(metadata="hub-credentials"), "metadata has no keys."),
    "no text": (into("stringData", server=["https://a"]), "stringData.server is not a text."),
    "plain http": (into("stringData", server="http://hub.example"), "stringData.server is not an https URL."),
    "a user": (into("stringData", server="https://hub.example@evil"), "stringData.server is not an https URL."),
    "no token": (into("stringData", token=""), "stringData.token is not a token."),
    "lines": (into("stringData", token="a\nb"), "stringData.token is not a token."),
    "no name": (into("stringData", namespace="site a"), "stringData.namespace is not a name."),
    "no CA": (into("stringData", ca_crt="PEM"), "stringData.ca.crt holds no PEM certificates."),
}


@pytest.mark.parametrize(("change", "fault"), SECRETS.values(), ids=SECRETS)
def test_another_secret_is_refused(change: Change, fault: str, received: Received) -> None:
    changed(received.credentials, change)
    assert received.faults() == [f"- credentials.yaml: {fault}"]


VALUES: dict[str, tuple[Change, str]] = {
    "participant": (into("hub", participantNamespace=1), "hub.participantNamespace is not a text."),
    "no name": (into("hub", participantNamespace="A"), "hub.participantNamespace is not a name."),
    "fingerprint": (into("hub", fingerprint="sha256:0"), "hub.fingerprint is not a fingerprint (sha256:<64 hex>)."),
    "origin": (into("store", origin="https://a/b"), "store.origin is not an https origin without a path."),
    "other letters": (
        into("store", origin="https://\u0430.b"),
        "store.origin is not an https origin without a path.",
    ),
    "bundle": (into("store", caBundle="\u00e9"), "store.caBundle holds no PEM certificates."),
    "a name like a number": (
        into("hub", participantNamespace="1e3"),
        "hub.participantNamespace is a name that Helm or kubectl could read as a number, or as true or false.",
    ),
    "missing": (lambda item: item["store"].pop("caBundle"), "The key store.caBundle is missing."),
}


@pytest.mark.parametrize(("change", "fault"), VALUES.values(), ids=VALUES)
def test_other_values_are_refused(change: Change, fault: str, received: Received) -> None:
    changed(received.values, change)
    assert received.faults() == [f"- from-hub.yaml: {fault}"]


def test_no_certificate_is_hidden_from_people(received: Received, authority: str, tmp_path: Path) -> None:
    """OpenSSL reads a long line in pieces, so it finds a certificate where other parsers see none."""
    other = Authority(tmp_path, "other", NOW).certificate.read_text()
    third = Authority(tmp_path, "third", NOW).certificate.read_text()
    hidden = f"{authority}{'x' * 253}-{other}"
    context = ssl.create_default_context(cadata=hidden)
    assert context.cert_store_stats()["x509"] == 2, "the site would trust both"
    # Of the second bundle, people would see two certificates, and OpenSSL reads two others. Of the third one, OpenSSL
    # reads the first certificate alone.
    for bundle in (hidden, f"{hidden}\n  {third}", f"{authority}  {third}"):
        changed(received.values, into("store", caBundle=bundle))
        assert received.faults() == [
            "- from-hub.yaml: store.caBundle holds certificates that some programs read and others do not."
        ]


def test_files_for_two_hospitals_are_refused(received: Received) -> None:
    changed(received.credentials, into("stringData", namespace="site-b"))
    assert received.faults() == ["- The values are for participant site-a, and the credentials for participant site-b."]


def twice(text: str) -> str:
    """The token stands there twice. Parsers take the first one, the last one, or fail."""
    return f"{text}  token: other\n"


NOTATIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "a key twice": (twice, "has another notation"),
    "a comment": (lambda text: f"# ours\n{text}", "Line 1 has another notation"),
    "quotes": (lambda text: text.replace("Opaque", '"Opaque"'), "Line 5 has another notation"),
    "another order": (lambda text: "kind: Secret\n" + text.replace("kind: Secret\n", ""), "Line 1 has another"),
    "an empty line": (lambda text: text.replace("kind", "\nkind"), "has another notation"),
    "no character": (lambda text: text.replace("Opaque", '"\\UFFFFFFFF"'), "cannot be read as YAML"),
    "a character after the last one": (lambda text: text.replace("Opaque", '"\\U00110000"'), "cannot be read as YAML"),
    "a number of endless size": (
        lambda text: text.replace("Opaque", "1" + ":59" * 400 + ".5"),
        "cannot be read as YAML",
    ),
    "a mark of a document": (lambda text: f"---\n{text}", "Line 1 has another notation"),
    "a directive": (lambda text: f"%YAML 1.1\n---\n{text}", "Line 1 has another notation"),
    "JSON": (lambda text: json.dumps(yaml.safe_load(text)), "Line 1 has another notation"),
    "a carriage return": (lambda text: text.replace("kind: Secret\n", "kind: Secret\r"), "Line 2 has another"),
    # kubectl ends an object at each line that begins with three hyphens, also within quotes.
    "hyphens in quotes": (
        lambda text: text.replace("hub-credentials\n", "hub-credentials\n  x: 'a\n---b'\n"),
        "The key metadata.x must not be there.",
    ),
    "an anchor": (lambda text: text.replace("Opaque", "&a Opaque"), "an anchor or an alias"),
    "a merge": (lambda text: f"{text}  <<: {{server: https://a}}\n", "has another notation"),
    "an empty key": (lambda text: f"{text}? \n", "The key (NoneType) must not be there."),
    "a tag": (lambda text: text.replace("Opaque", "!!bool Opaque"), "a tag of YAML"),
    "no YAML": (lambda text: f"{text}}}", "cannot be read as YAML"),
    "no time": (lambda text: text.replace("Opaque", "2026-99-99"), "cannot be read as YAML"),
    "nothing": (lambda _: "", "0 YAML documents"),
    "a list": (lambda _: "[]", "The file has no keys."),
    "depth": (lambda _: "[" * 50_000, "more than 20 levels"),
    "size": (lambda text: text + "#" * (1 << 20), "more than 1,048,576 characters"),
}


@pytest.mark.parametrize(("change", "fault"), NOTATIONS.values(), ids=NOTATIONS)
def test_another_notation_is_refused(change: Callable[[str], str], fault: str, received: Received) -> None:
    """Helm and kubectl read such files with other parsers than this program."""
    received.credentials.write_bytes(change(received.credentials.read_text()).encode())
    [only] = received.faults()
    assert fault in only


def test_a_file_that_cannot_be_read_is_an_error(received: Received) -> None:
    received.credentials.write_bytes(received.credentials.read_text().encode("utf-16"))
    code, output = received.check()
    assert (code, "not UTF-8 text" in output) == (2, True)
    received.credentials.unlink()
    code, output = received.check()
    assert code == 2
    assert "credentials.yaml cannot be read" in output
