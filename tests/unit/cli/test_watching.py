"""`watch` ends with the round, with its timeout, or when the round is deleted."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.unit.cli.rounds import condition, round_
from wardround import kubectl as program
from wardround.cli import verbs
from wardround.cli.cluster import Cluster
from wardround.cli.commands import watch as command
from wardround.cli.errors import MissingError

ARGUMENTS = ["watch", "fr/train-1", "-n", "breast-cancer"]
COMPLETE = {"conditions": [condition("Complete", "True", "Complete")]}
STALLED = {"conditions": [condition("Stalled", "True", "ParticipantUnknown", "nobody")]}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "REFRESH_SECONDS", 0.01)


def watch(monkeypatch: pytest.MonkeyPatch, rounds: Iterator[dict[str, Any] | None], *more: str) -> int:
    """The exit code of `watch`. `rounds`: the round at each look; None if it does not exist."""

    def look(_: Cluster, name: str, namespace: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        item = next(rounds)
        if item is None:
            raise MissingError(f"no {name} in {namespace}")
        return item, []

    monkeypatch.setattr(verbs, "round_with_tasks", look)
    return command.run_watch(cast(Cluster, None), program.parser().parse_args([*ARGUMENTS, *more]))


def endless(item: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
    while True:
        yield item


def test_a_stalled_round_is_watched_until_the_timeout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(monkeypatch, endless(round_(STALLED)), "--timeout", "0.05") == 3
    output = capsys.readouterr()
    assert output.out == "round: stalled: ParticipantUnknown: nobody\n"
    assert "The command stops watching after 0.05 s (--timeout)." in output.err
    assert "explain federatedround/train-1 -n breast-cancer" in output.err


def test_a_round_that_ends_before_the_timeout_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch(monkeypatch, iter([round_(), round_(COMPLETE)]), "--timeout", "60") == 0
    assert watch(monkeypatch, iter([round_(COMPLETE)]), "--timeout", "0") == 0


def test_a_deleted_round_ends_the_watch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(monkeypatch, iter([round_(STALLED), None])) == 1
    assert capsys.readouterr().out.endswith("\nround: deleted\n")


def test_a_new_round_of_the_same_name_ends_the_watch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = round_(COMPLETE)
    other["metadata"]["uid"] = "u2"
    assert watch(monkeypatch, iter([round_(), other])) == 1
    assert capsys.readouterr().out.endswith("\nround: deleted\n")


def test_a_missing_round_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match=r"^no train-1 in breast-cancer$"):
        watch(monkeypatch, iter([None]))


@pytest.mark.parametrize("argument", ["-1", "nan", "inf", "soon"])
def test_an_invalid_timeout_is_refused(argument: str) -> None:
    with pytest.raises(SystemExit):
        program.parser().parse_args([*ARGUMENTS, f"--timeout={argument}"])


def test_an_object_of_another_version_of_the_crds_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    item = round_()
    del item["spec"]["datasetName"]
    monkeypatch.setattr(verbs, "round_with_tasks", lambda *_: (item, []))
    monkeypatch.setattr(program, "Cluster", lambda *_: None)
    assert program.main(ARGUMENTS) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "error: This version of kubectl-wardround cannot read the object: spec.datasetName: missing. Install "
        "the version of kubectl-wardround that fits"
    )
