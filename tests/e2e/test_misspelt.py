"""Misspelt fields and values are refused by name when they are applied or installed. None is silently ignored."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from lab import toolchain
from lab.install import WRITTEN
from lab.topology import ROOT
from tests.e2e.federation import Federation

# By kind: the cluster that has it, and a misspelt field.
KINDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "Participant": ("hub", {"spec": {"keyFingerPrint": "sha256:" + "1" * 64}}, "spec.keyFingerPrint"),
    "FederatedRound": ("hub", {"spec": {"quorum": {"minimum": 2}}}, "spec.quorum.minimum"),
    "RoundTask": ("hub", {"spec": {"assignments": "text"}}, "spec.assignments"),
    "Site": ("site-a", {"spec": {"policy": {"image": []}}}, "spec.policy.image"),
    "SiteTask": ("site-a", {"spec": {"approve": True}}, "spec.approve"),
    "Dataset": ("site-a", {"spec": {"missingValue": [""]}}, "spec.missingValue"),
    "DataSchema": ("site-a", {"spec": {"fields": [{"nam": "age"}]}}, "spec.fields[0].nam"),
}
# By chart: its release and cluster, and a misspelt value.
CHARTS = {
    "crds": ("hub", "wardround-crds", "keep=true", "keep"),
    "hub": ("hub", "wardround-hub", "store.endpiont=https://store.example", "endpiont"),
    "site": ("site-a", "wardround-site", "policy.image={trainer}", "image"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_field_is_refused_by_name(federation: Federation, kind: str) -> None:
    cluster, content, field = KINDS[kind]
    metadata = {"name": "misspelt", "namespace": "default"}
    made = {"apiVersion": "wardround.io/v1alpha1", "kind": kind, "metadata": metadata, **content}
    refused = federation.kubectl(cluster).run("apply", "-f", "-", stdin=json.dumps(made), check=False)
    assert refused.returncode != 0
    assert f'unknown field "{field}"' in refused.stderr


@pytest.mark.usefixtures("federation")
@pytest.mark.parametrize("chart", CHARTS)
def test_a_misspelt_value_is_refused_by_name(chart: str) -> None:
    """The other values are those of the installed release, which are valid."""
    cluster, release, value, name = CHARTS[chart]
    given = WRITTEN / f"values-{cluster}-{release}.yaml"
    helm, place = str(toolchain.tool("helm")), ("--namespace", release)
    render = [helm, "template", release, f"{ROOT}/charts/{chart}", *place, "--values", str(given)]
    taken = subprocess.run(render, capture_output=True, text=True)
    assert taken.returncode == 0, taken.stderr
    refused = subprocess.run([*render, "--set", value], capture_output=True, text=True)
    assert refused.returncode != 0
    assert f"'{name}' not allowed" in refused.stderr


def test_a_misspelt_parameter_value_is_reported_to_the_rounds_author(federation: Federation) -> None:
    """One attempt. The hospital allows the parameter: the trainer alone knows what a list of widths looks like, and
    names the parameter."""
    made = federation.manifest(
        "misspelt-parameter",
        "Train",
        initial={},
        participants={"names": ["site-b"]},
        parameters={"hidden": "16;8"},
    )
    federation.apply(made)
    finished = federation.finished(made["metadata"]["name"])
    assert finished.attention("site-b")["reason"] == "ParametersRefused"
    [task] = finished.tasks
    failure = {"class": "Code", "reason": "ParametersRefused", "exitCode": 64, "parameter": "hidden"}
    assert task["status"]["failure"] == failure
    message = finished.attention("site-b")["message"]
    assert 'The parameter is hidden. The round gives it the value "16;8". Compare its name' in message
    own = federation.site_task("site-b", task["metadata"]["name"])
    pod = ("logs", f"job/{own['metadata']['name']}", "-n", federation.site_namespace, "-c", "init")
    assert "parameter hidden is '16;8': it must be a whole number from 1 to 65536" in federation.kubectl("site-b")(*pod)
