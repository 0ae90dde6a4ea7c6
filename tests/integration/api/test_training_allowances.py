"""What a site admits follows from the values of its chart: images, commands, local sockets, link-local, parameters."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.admission import refusal, until_admitted, until_refused
from tests.integration.api.apiserver import Api, Refused
from tests.integration.api.attack import (
    ALLOWED,
    COMMAND,
    LAUNCH,
    LINK_LOCAL,
    LISTED,
    OTHER,
    THEIR_IMAGE,
)
from tests.integration.api.jobs import (
    container,
    variable,
)
from tests.integration.api.neighbours import NEIGHBOUR, OPERATOR, at_the_neighbours, datasets_of_both_sites
from tests.integration.api.objects import (
    ROOT,
    TRAINER,
    site_values,
    training_job,
)
from tests.integration.cluster import Helm
from wardround.api import parameters_text
from wardround.api.site import Policy
from wardround.wire import codec

Object = dict[str, Any]
# On its way from the chart's values it passes YAML, JSON, Helm's templates and CEL, and means something in each.
ODD = """print("it's", 'a \\n {{ .Values.image }} <&> \u00e9\u2028 \\' ,${x})\n# : | - 'train'"""


@pytest.fixture(scope="module", autouse=True)
def datasets(api: Api) -> Iterator[None]:
    with datasets_of_both_sites(api):
        yield


def test_each_site_in_a_cluster_has_its_own_allow_list(api: Api, helm: Helm) -> None:
    at_the_neighbours(helm, images=[OTHER])
    job = training_job(namespace="hospital-b")
    container("train")(job)["image"] = OTHER
    until_admitted(api, job, NEIGHBOUR)
    with pytest.raises(Refused, match=THEIR_IMAGE):
        api.create(training_job(namespace="hospital-b"), user=NEIGHBOUR, dry_run=True)
    api.create(training_job(), user=OPERATOR, dry_run=True)


@pytest.mark.parametrize("words", [["julia", "/train.jl"], ["python", "-c", ODD]], ids=["plain", "odd"])
def test_a_site_admits_a_listed_command_word_for_word(api: Api, helm: Helm, words: list[str]) -> None:
    at_the_neighbours(helm, commands=[["another"], words])
    for case, verb in (("train", "train"), ("train-initial", "train"), ("evaluate", "predict")):
        job = training_job(case, "hospital-b")
        container("train")(job)["command"] = [*LAUNCH, *words, verb]
        if case == "train-initial":
            container("init")(job)["command"] = [*LAUNCH, *words, "init"]
        until_admitted(api, job, NEIGHBOUR)
    for others in ([*words, "more", "train"], [*words[:-1], "train"], [*words[:-1], words[-1] + " ", "train"]):
        job = training_job(namespace="hospital-b")
        container("train")(job)["command"] = [*LAUNCH, *others]
        with pytest.raises(Refused, match=LISTED):
            api.create(job, user=NEIGHBOUR, dry_run=True)
    with pytest.raises(Refused, match=LISTED):
        api.create(training_job(namespace="hospital-b"), user=NEIGHBOUR, dry_run=True)
    api.create(training_job(), user=OPERATOR, dry_run=True)


def test_a_site_admits_local_sockets_only_for_the_rounds_code(api: Api, helm: Helm) -> None:
    cases = [("train", "train"), ("init", "train-initial"), ("train", "evaluate")]
    for allowed in (True, False):
        at_the_neighbours(helm, localSockets=allowed)
        for name, case in cases:
            job = _with_local_sockets(training_job(case, "hospital-b"), name)
            if allowed:
                until_admitted(api, job, NEIGHBOUR)
                api.create(training_job(case, "hospital-b"), user=NEIGHBOUR, dry_run=True)
            else:
                until_refused(api, job, "does not allow --local-sockets (policy.localSockets)", NEIGHBOUR)
        for name, case in (("check", "train"), ("check", "evaluate"), ("train", "statistics")):
            job = _with_local_sockets(training_job(case, "hospital-b"), name)
            assert COMMAND in refusal(api, job, NEIGHBOUR)
    assert api.get("Site", "site", "hospital-b")["spec"]["policy"]["localSockets"] is False


def _with_local_sockets(job: Object, name: str) -> Object:
    container(name)(job)["command"].insert(1, "--local-sockets")
    for each in ("prepare", "isolation"):
        variable("WARDROUND_LINK_LOCAL", each)(job)["value"] = "Refuse"
    return job


def test_a_site_without_commands_runs_only_the_built_in_code(api: Api, helm: Helm) -> None:
    at_the_neighbours(helm, images=[TRAINER], commands=[])
    until_refused(api, training_job(namespace="hospital-b"), LISTED, NEIGHBOUR)
    assert refusal(api, training_job("statistics", "hospital-b"), NEIGHBOUR) == ""


def test_a_site_that_accepts_open_link_local_admits_no_local_sockets(api: Api, helm: Helm) -> None:
    at_the_neighbours(helm, localSockets=True)
    job = training_job("train-local-sockets", "hospital-b")
    until_admitted(api, job, NEIGHBOUR)
    for name in ("prepare", "isolation"):
        warned = copy.deepcopy(job)
        variable("WARDROUND_LINK_LOCAL", name)(warned)["value"] = "Warn"
        until_refused(api, warned, LINK_LOCAL, NEIGHBOUR)


def test_a_site_that_refuses_link_local_refuses_it_in_every_pod(api: Api, helm: Helm) -> None:
    at_the_neighbours(helm, linkLocal="Refuse")
    job = training_job(namespace="hospital-b")
    for name in ("prepare", "isolation"):
        variable("WARDROUND_LINK_LOCAL", name)(job)["value"] = "Refuse"
    until_admitted(api, job, NEIGHBOUR)
    for name in ("prepare", "isolation"):
        for value in ("Warn", "", "refuse"):
            warned = copy.deepcopy(job)
            variable("WARDROUND_LINK_LOCAL", name)(warned)["value"] = value
            until_refused(api, warned, LINK_LOCAL, NEIGHBOUR)
    job["metadata"]["namespace"] = "hospital-a"
    api.create(job, user=OPERATOR, dry_run=True)


# Whatever Helm, YAML, Go's JSON, Python's, CEL or Kubernetes might take for something of its own.
ODDITIES = [
    *(
        "'",
        '"',
        "\\",
        '\\"',
        "\\u0008",
        "\b\f\n\r\t\v\a",
        "\0",
        "\x01\x1f",
        "<script>&amp;",
        "\u2028\u2029",
        " ",
        "",
        "0.10",
    ),
    *(
        "$",
        "$$",
        "$(WARDROUND_TASK)",
        "${x}",
        "{{ .Values.image }}",
        "yes",
        "~",
        "# x",
    ),
    *("é µ 患者 \U0001f9ec", "\ufffd\U0001f9ec", "a\u0301", '"},"steps":{"a":"b'),
]


def _allowing(allowed: list[Object]) -> Object:
    """Returns the Job that the neighbours' site operator builds if its Site allows these parameters."""
    job = training_job(namespace="hospital-b")
    policy = codec.parse(Policy, {"parameters": allowed})
    variable("WARDROUND_ALLOWED_PARAMETERS")(job)["value"] = _in_a_job(parameters_text.dump(policy.parameters))
    return job


def _in_a_job(text: str) -> str:
    return text.replace("$", "$$")


@pytest.mark.parametrize(
    "allowed",
    [
        [
            {"name": "b", "minimum": "-1000", "required": True},
            {"name": "a", "maximum": "0.5", "minimum": "0"},
            {"name": "B"},
            {"name": "é"},
        ],
        [{"name": each, "enum": [*reversed(ODDITIES)]} for each in ODDITIES if each],
        [{"name": "largest", "enum": [f'{number:02}{chr(92) * 497}"' for number in range(32)]}],
    ],
    ids=["bounds", "odd", "large"],
)
def test_python_and_helm_write_odd_parameters_alike(api: Api, helm: Helm, allowed: list[Object]) -> None:
    """The test compares the Site that Helm writes with the Job that the operator builds."""
    at_the_neighbours(helm, parameters=allowed)
    there = api.get("Site", "site", "hospital-b")["spec"]["policy"]["parameters"]
    assert there == allowed
    job = _allowing(there)
    until_admitted(api, job, NEIGHBOUR)
    assert ALLOWED in refusal(api, training_job(namespace="hospital-b"), NEIGHBOUR)
    for one in there:
        for others in ([each for each in there if each != one], [*there, {**one, "name": f"{one['name']}x"}]):
            assert ALLOWED in refusal(api, _allowing(others), NEIGHBOUR)


def test_a_chart_without_parameters_makes_prepare_allow_none(api: Api, helm: Helm) -> None:
    at_the_neighbours(helm, parameters=[])
    until_admitted(api, _allowing([]), NEIGHBOUR)
    assert ALLOWED in refusal(api, training_job(namespace="hospital-b"), NEIGHBOUR)


def test_a_chart_lists_no_more_parameters_than_fit_into_a_pods_environment(helm: Helm) -> None:
    values = site_values("site-b")
    values["policy"]["parameters"] = [{"name": "large", "enum": [f"{number:04}" + "x" * 1020 for number in range(32)]}]
    chart = str(ROOT / "charts/site")
    output = helm.run("template", "wardround-site", chart, "--namespace", "hospital-b", "--values", helm.values(values))
    assert output.returncode != 0
    assert "list fewer parameters" in output.stderr
