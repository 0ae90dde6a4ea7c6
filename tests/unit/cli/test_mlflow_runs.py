"""The versions of a model as runs of MLflow: only numbers that `results` prints, and no secret of the address."""

from __future__ import annotations

import sys
import traceback
from typing import Any, cast

import pytest

from tests.unit.cli.test_results_model import LOSS, MODEL, ROUNDS, TRAINED, VERSIONS, objects, on_test_rows, version
from wardround.cli import mlflow_runs, verbs
from wardround.cli.cluster import Cluster
from wardround.cli.commands import results as command
from wardround.cli.errors import CommandError
from wardround.cli.mlflow_runs import Point
from wardround.kubectl import parser


def test_a_run_has_the_intervals_people_and_hospitals_of_its_version() -> None:
    first, second = mlflow_runs.runs(objects())
    assert (first.key, second.key) == ("v1", "v2")
    assert first.points == ()
    own = [each for each in second.points if each.step == 0]
    assert own == [
        Point("validation.loss", 0.31, 0),
        Point("validation.loss.low", 0.28, 0),
        Point("validation.loss.high", 0.34, 0),
        Point("validation.loss.people", 412, 0),
        Point("validation.loss.hospitals", 3, 0),
    ]
    assert second.started == "2026-11-27T12:01:00Z"


def test_no_number_of_a_single_hospital_leaves_the_hub() -> None:
    """A hospital agreed that readers of the hub see it. Readers of MLflow need no right on the hub."""
    alone = version(2, TRAINED, {**LOSS, "hospitals": 1})
    assert mlflow_runs.runs(objects(versions=[alone], rounds=[]))[0].points == ()
    alone = on_test_rows(version(2, TRAINED), {**LOSS, "rows": "Test", "hospitals": 1})
    assert mlflow_runs.runs(objects(versions=[alone], rounds=[]))[0].points == ()


def test_the_rounds_of_the_newest_series_are_the_steps_of_its_version() -> None:
    first, second = mlflow_runs.runs(objects())
    assert [each for each in second.points if each.step == 1 and each.metric == "series.validation.loss"] == [
        Point("series.validation.loss", 0.31, 1)
    ]
    assert not [each for each in first.points if each.metric.startswith("series.")]


def test_a_version_whose_round_is_gone_keeps_what_its_object_says() -> None:
    [run] = mlflow_runs.runs(objects(versions=[version(2, TRAINED, LOSS)], rounds=[]))
    assert run.params["round"] == TRAINED
    assert "image" not in run.params
    assert run.started is None


def test_rows_that_differ_have_names_that_differ() -> None:
    both = on_test_rows(version(2, TRAINED, LOSS), {**LOSS, "rows": "Test", "value": "0.4"})
    [run] = mlflow_runs.runs(objects(versions=[both]))
    values = {each.metric: each.value for each in run.points if each.step == 0}
    assert (values["validation.loss"], values["test.loss"]) == (0.31, 0.4)


def test_a_run_takes_only_points_that_it_lacks() -> None:
    points = [Point("a", 1.0, 0), Point("a", 2.0, 1), Point("b", 3.0, 0)]
    assert mlflow_runs.changed(points, {("a", 0): 1.0, ("a", 1): 1.5}) == points[1:]


def test_a_model_without_versions_says_what_to_do() -> None:
    with pytest.raises(CommandError, match=r"no version yet.*explain federatedmodel/heart -n fed"):
        mlflow_runs.runs(objects(versions=[]))


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://ann:secret@mlflow.example:5000/path?token=secret", "https://mlflow.example:5000"),
        ("postgresql+psycopg2://ann:secret@db.example/runs", "postgresql+psycopg2://db.example"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_people_see_the_server_without_user_password_and_query(uri: str, shown: str) -> None:
    assert mlflow_runs.place(uri) == shown


def test_without_an_address_the_option_and_the_variable_are_named() -> None:
    with pytest.raises(CommandError, match="--tracking-uri, or set the variable MLFLOW_TRACKING_URI") as refused:
        mlflow_runs.place("")
    assert "password" not in str(refused.value)


@pytest.mark.parametrize("uri", ["mlruns", "file:///data", "databricks"])
def test_a_text_that_is_no_server_or_database_is_refused(uri: str) -> None:
    with pytest.raises(CommandError, match="takes the address of an MLflow server or database"):
        mlflow_runs.place(uri)


@pytest.mark.parametrize("password", ["s3cr/et", "s3cr#et", "s3cr?et", "s3cr[et", "12/s3cret", "12#s3cret", "s3cr]et"])
def test_a_password_that_is_not_escaped_is_neither_printed_nor_sent_to_another_host(password: str) -> None:
    with pytest.raises(CommandError, match="write / as %2F") as refused:
        mlflow_runs.place(f"https://bob:{password}@mlflow.example/")
    assert "s3cr" not in "".join(traceback.format_exception(refused.value))


def test_a_message_of_the_client_loses_the_path_of_the_address() -> None:
    uri = "https://mlflow.example/team/s3cret-path"
    clean = mlflow_runs.without_secrets("Max retries exceeded with url: /team/s3cret-path/api/2.0/mlflow", uri)
    assert clean == "Max retries exceeded with url: /.../api/2.0/mlflow"


def test_a_message_of_the_client_loses_the_secrets_of_the_address() -> None:
    uri = "https://ann:se%2Fcret@mlflow.example/path?token=abc"
    message = f"cannot reach {uri}: se%2Fcret, se/cret and token=abc at ann:se%2Fcret@mlflow.example are wrong for ann"
    clean = mlflow_runs.without_secrets(message, uri)
    assert clean == "cannot reach ...: ..., ... and ... at ...@mlflow.example are wrong for ann"


def test_the_command_refuses_a_round_and_an_address_before_it_imports_mlflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verbs, "model_with_rounds", lambda *_: (MODEL, VERSIONS, ROUNDS))
    words = ["results", "fm/heart", "-n", "fed", "-o", "mlflow"]
    with pytest.raises(CommandError, match="--tracking-uri takes the address"):
        command.run_results(cast(Cluster, None), parser().parse_args([*words, "--tracking-uri", "mlruns"]))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    missing: Any = parser().parse_args([*words, "--tracking-uri", "sqlite:////nowhere/x.db"])
    with pytest.raises(CommandError, match=r"needs mlflow, which is not installed.*\[mlflow\]"):
        command.run_results(cast(Cluster, None), missing)
