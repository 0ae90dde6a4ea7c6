"""Wrong input is named with its file, its field and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.simulate.rounds import played, short
from wardround.simulate.errors import SimulationError
from wardround.simulate.files import in_order, parse_rounds, read_hospitals, read_rounds
from wardround.simulate.prepared import prepared
from wardround.simulate.trainers import choose


def names(rounds: list[dict[str, Any]]) -> list[str]:
    return [each.metadata.name for each in in_order(parse_rounds(rounds))]


def test_each_round_comes_after_the_round_that_it_starts_from() -> None:
    assert names(short()[::-1]) == ["statistics", "train-1", "evaluate"]


def test_a_base_in_none_of_the_files_is_named() -> None:
    with pytest.raises(
        SimulationError, match=("Round train-1 starts from round statistics, and none of the given files has")
    ):
        names(short()[1:])


def test_a_circle_is_named() -> None:
    _, first, _ = short()
    del first["spec"]["initial"]
    first["spec"]["base"] = {"roundName": "train-1"}
    with pytest.raises(SimulationError, match="each starts from another of them: train-1"):
        names([first])


def test_two_rounds_of_one_name_are_refused() -> None:
    statistics, *_ = short()
    with pytest.raises(SimulationError, match="Two rounds have the name statistics"):
        names([statistics, statistics])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrcs": ["loss"]}, "FederatedRound train-1: spec has the unknown field metrcs"),
        ({"quorum": {"minimum": 2}}, "FederatedRound train-1: spec.quorum has the unknown field minimum"),
        ({"base": {"roundName": "x"}}, "either spec.base or spec.initial"),
        ({"task": "Statistics"}, "a Statistics round cannot have it"),
        ({"task": "Evaluate"}, "an Evaluate round needs spec.base"),
        ({"participants": {}}, "either names or selector"),
        ({"task": "Trian"}, "FederatedRound train-1: .*expected one of Train"),
    ],
)
def test_a_wrong_round_is_refused_with_its_field(change: dict[str, Any], words: str) -> None:
    _, first, _ = short()
    first["spec"] |= change
    with pytest.raises(SimulationError, match=words):
        names([first])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": ["loss", "auroc"]}, "FederatedRound evaluate: an Evaluate round cannot have the metric auroc"),
        ({"specificity": "1"}, "FederatedRound evaluate: spec.specificity has to be a decimal above 0 and below 1"),
        ({"specificity": "abc"}, "FederatedRound evaluate: spec.specificity has to be a decimal above 0 and below 1"),
    ],
)
def test_a_simulation_refuses_an_evaluation_that_the_api_server_would_refuse(
    change: dict[str, Any], words: str
) -> None:
    *_, evaluation = short()
    evaluation["spec"] |= change
    with pytest.raises(SimulationError, match=words):
        parse_rounds([evaluation])


def test_other_kinds_beside_rounds_are_ignored(tmp_path: Path) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "breast-cancer"}}
    file = tmp_path / "rounds.yaml"
    file.write_text(yaml.safe_dump_all([namespace, short()[0]]))
    assert [each.metadata.name for each in read_rounds(file)] == ["statistics"]
    file.write_text(yaml.safe_dump(namespace))
    with pytest.raises(SimulationError, match=r"rounds.yaml has no FederatedRound"):
        read_rounds(file)


def test_each_folder_with_a_dataset_is_a_hospital(data: Path) -> None:
    assert [each.name for each in read_hospitals(data)] == ["site-a", "site-b", "site-c"]


@pytest.mark.parametrize(
    ("text", "instead", "words"),
    [
        ("path: cases.csv", "path: missing.csv", r"Dataset breast: .*site-a has no file missing.csv \(spec.path\)"),
        ("format: CSV", "fromat: CSV", "Dataset breast: spec has the unknown field fromat"),
        ("kind: Dataset", "kind: Datasets", "has no Dataset"),
        ("schemaName: breast-v1", "schemaName: lung", "Dataset breast: there is no DataSchema lung"),
        ("column: patient_id", "column: mean_area", "not Ready: SchemaInvalid: .*is the identifier and also field"),
    ],
)
def test_a_wrong_dataset_is_refused(data: Path, tmp_path: Path, text: str, instead: str, words: str) -> None:
    wrong = tmp_path / "wrong"
    shutil.copytree(data, wrong)
    file = wrong / "site-a" / "dataset.yaml"
    assert text in file.read_text()
    file.write_text(file.read_text().replace(text, instead))
    with pytest.raises(SimulationError, match=words):
        played(short(), wrong)


def test_a_folder_without_hospitals_says_what_to_make(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"has no hospital\. Make one folder in it for each hospital"):
        read_hospitals(tmp_path)


def test_a_holdout_that_is_not_there_is_named(data: Path) -> None:
    with pytest.raises(SimulationError, match=r"--holdout .*nowhere\.csv: there is no such file"):
        prepared(short(), data, holdout="nowhere.csv", trainer=lambda _: 0)


def test_without_torch_the_reference_trainer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(SimulationError, match="pip install torch"):
        choose("")


def test_a_command_that_cannot_be_started_ends_as_in_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose("no-such-program --fast")("train") == 127
    assert "no-such-program cannot be started" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "asked", "words"),
    [
        (0, ["holdout"], "Round statistics has only holdout in spec.participants.names, so no hospital takes part"),
        (2, ["holdout"], "Round evaluate measures the holdout file, and the command has no such file"),
        (2, ["holdout", "site-a"], "Round evaluate names both holdout and hospitals"),
        (
            1,
            ["site-a", "elsewhere"],
            "Round train-1 names the hospital elsewhere in spec.participants.names, but .* no folder",
        ),
    ],
)
def test_a_round_that_asks_somebody_who_is_not_there_is_refused(
    data: Path, number: int, asked: list[str], words: str
) -> None:
    rounds = short()
    rounds[number]["spec"]["participants"] = {"names": asked}
    with pytest.raises(SimulationError, match=words):
        prepared(rounds, data, trainer="true")


def test_one_round_and_a_share_as_a_number_are_taken_as_they_are(data: Path) -> None:
    simulation = prepared(short()[0], data, max_left_out=0.5, trainer="true")
    assert ([each.metadata.name for each in simulation.rounds], simulation.max_left_out) == (["statistics"], "0.5")
