"""A hospital limits the evaluations on its rows, and no object, clock or second pod gives one back."""

from __future__ import annotations

import fcntl
import json
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import NOW, prepare
from wardround import durable
from wardround.api.times import to_seconds
from wardround.pod import evaluations
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.wire.outcome import EvaluationBudget

DAY = timedelta(days=1)
LIMIT = 3


def model(number: int) -> dict[str, Any]:
    return {"baseDigest": f"sha256:{number:064x}"}


def evaluate(folders: Folders, now: datetime = NOW, **changes: Any) -> dict[str, EvaluationBudget]:
    """Prepares an evaluation. Returns the budgets that the termination message reports."""
    outcome = prepare(folders, world.task("Evaluate", **{"maxEvaluations": LIMIT, **changes}), now)
    return {each.rows: each for each in outcome.evaluations or ()}


def refused(folders: Folders, now: datetime = NOW, reason: str = "EvaluationsUsedUp", **changes: Any) -> PodError:
    folders.task_file.unlink(missing_ok=True)
    with pytest.raises(PodError) as caught:
        evaluate(folders, now, **changes)
    assert (caught.value.reason, caught.value.exit_code, caught.value.category) == (reason, 65, "Site")
    assert not folders.task_file.exists(), "the code that predicts would have a task"
    return caught.value


def used_up(folders: Folders, now: datetime = NOW, **changes: Any) -> Folders:
    for number in range(LIMIT):
        evaluate(folders, now, **model(number), **changes)
    return folders


def file(folders: Folders, dataset: str = "breast") -> Path:
    return folders.secrets / "evaluations" / f"{dataset}.json"


def test_a_hospital_evaluates_only_as_many_models_as_it_allows(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    left = [evaluate(folders, **model(number))["Test"].left for number in range(LIMIT)]
    assert left == [2, 1, 0]
    failure = refused(folders, **model(LIMIT))
    assert failure.message == (
        "The hospital allows 3 evaluations on Test rows of Dataset breast in 30 days, and rounds have used 3. Another "
        "model can be evaluated after 2026-12-24T12:00:00Z. To allow more evaluations, the hospital's administrator "
        "raises policy.maxEvaluations in the values of the site chart"
    )
    assert failure.outcome.evaluations == (
        EvaluationBudget(rows="Validation", used=0, left=3),
        EvaluationBudget(rows="Test", used=3, left=0, until="2026-12-24T12:00:00Z"),
    )
    assert failure.outcome.rows == 300, "the Dataset's counts are known all the same"


def test_a_higher_limit_allows_more_at_once_and_a_lower_one_fewer(tmp_path: Path) -> None:
    folders = used_up(world.pod(tmp_path))
    assert evaluate(folders, **model(LIMIT), maxEvaluations=LIMIT + 1)["Test"].left == 0
    failure = refused(folders, **model(LIMIT + 1), maxEvaluations=1)
    assert failure.outcome.evaluations is not None
    assert failure.outcome.evaluations[1].left == 0


def test_a_limit_of_zero_allows_no_evaluation(tmp_path: Path) -> None:
    failure = refused(world.pod(tmp_path), maxEvaluations=0)
    assert "policy.maxEvaluations of the Site is 0" in failure.message
    assert failure.outcome.evaluations is not None
    assert failure.outcome.evaluations[1] == EvaluationBudget(rows="Test", used=0, left=0)


def test_the_same_model_on_the_same_rows_counts_once_also_when_the_budget_is_used_up(tmp_path: Path) -> None:
    folders = used_up(world.pod(tmp_path))
    other = {"round": {"name": "again", "attempt": 2}, "roundUID": "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21"}
    assert evaluate(folders, NOW + DAY, **model(0), **other)["Test"].used == LIMIT
    assert prepare(world.pod(tmp_path), world.task()).evaluations is None


@pytest.mark.parametrize(
    "change",
    [
        {"baseDigest": "sha256:" + "c" * 64},
        {"imageDigest": "sha256:" + "c" * 64},
        {"command": ["python", "-m", "another"]},
        {"parameters": {"epochs": "2"}},
        {"stateRound": "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_model_counts(tmp_path: Path, change: dict[str, Any]) -> None:
    folders = world.pod(tmp_path)
    assert evaluate(folders)["Test"].used == 1
    assert evaluate(folders, **change)["Test"].used == 2


# Of patients on the test side: a changed value, another label, and one row less.
TESTED = next(number for number in range(300) if world.SIDES.side(f"patient-{number}") == "test")


def changed(how: str) -> list[str]:
    lines = world.rows()
    name, radius, age, label = lines[TESTED].split(",")
    other = {
        "value": [f"{name},{radius},{int(age) + 1},{label}"],
        "label": [f"{name},{radius},{age},{1 - int(label)}"],
        "row": [],
    }
    return [*lines[:TESTED], *other[how], *lines[TESTED + 1 :]]


def reference(number: int, **changes: Any) -> dict[str, Any]:
    """A reference as the request names it."""
    code = {"imageDigest": "sha256:" + "d" * 64, "command": ["python", "-m", "wardround_trainer"]}
    return {**model(number), **code, "parameters": {"epochs": "1"}, "stateRound": "", **changes}


def test_each_reference_counts_as_a_model(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    many: dict[str, Any] = {"maxEvaluations": 6}
    assert evaluate(folders, **many, **model(1), references=[reference(2)])["Test"].used == 2
    assert evaluate(folders, **many, **model(1), references=[reference(2), reference(3)])["Test"].used == 5
    failure = refused(folders, **many, **model(4), references=[reference(5)])
    assert "This round needs 2 evaluations, one for each model that the round measures." in failure.message
    assert evaluate(folders, **many, **model(4))["Test"].left == 0


def test_the_same_set_of_models_on_the_same_rows_counts_once_in_any_order(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    for base, others in ((1, [2, 3]), (1, [3, 2]), (3, [1, 2])):
        made = evaluate(folders, maxEvaluations=9, **model(base), references=[reference(each) for each in others])
        assert made["Test"].used == 3
    assert evaluate(folders, maxEvaluations=9, **model(1))["Test"].used == 4, "one of them alone is another set"
    assert evaluate(folders, maxEvaluations=9, **model(1), references=[reference(2)])["Test"].used == 6


@pytest.mark.parametrize(
    "change",
    [
        {"imageDigest": "sha256:" + "e" * 64},
        {"command": ["python", "-c", "pass"]},
        {"parameters": {"epochs": "2"}},
        {"stateRound": world.ROUND_UID},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_code_for_a_reference_counts(tmp_path: Path, change: dict[str, Any]) -> None:
    folders = world.pod(tmp_path)
    assert evaluate(folders, maxEvaluations=9, references=[reference(2)])["Test"].used == 2
    assert evaluate(folders, maxEvaluations=9, references=[reference(2, **change)])["Test"].used == 4


def test_a_budget_says_when_so_many_models_can_be_evaluated(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    evaluate(folders, **model(1))
    evaluate(folders, NOW + DAY, **model(2), references=[reference(3)])
    failure = refused(folders, NOW + 2 * DAY, **model(4))
    assert f"Another model can be evaluated after {to_seconds(NOW + 30 * DAY)}" in failure.message
    failure = refused(folders, NOW + 2 * DAY, **model(4), references=[reference(5)])
    assert f"These models can be evaluated after {to_seconds(NOW + 31 * DAY)}" in failure.message
    failure = refused(folders, NOW + 2 * DAY, maxEvaluations=1, **model(4), references=[reference(5)])
    assert "after" not in failure.message


@pytest.mark.parametrize("how", ["value", "label", "row"])
def test_the_same_model_on_other_rows_counts(tmp_path: Path, how: str) -> None:
    folders = world.pod(tmp_path)
    assert evaluate(folders)["Test"].used == 1
    assert evaluate(world.pod(tmp_path, changed(how)))["Test"].used == 2


def test_a_new_training_row_does_not_make_other_test_rows(tmp_path: Path) -> None:
    trained = next(name for name in (f"new-{number}" for number in range(99)) if world.SIDES.side(name) == "train")
    assert evaluate(world.pod(tmp_path))["Test"].used == 1
    assert evaluate(world.pod(tmp_path, [*world.rows(), f"{trained},12,50,0"]))["Test"].used == 1


def test_one_counted_evaluation_lets_at_most_ten_pods_see_the_rows(tmp_path: Path) -> None:
    """Code can answer by the clock, and the pod's request can name another model than the one that is mounted."""
    folders = world.pod(tmp_path)
    used = [evaluate(folders)["Test"].used for _ in range(11)]
    assert used == [1] * 10 + [2]
    refused(folders, maxEvaluations=0, **model(1))


def test_validation_rows_test_rows_and_other_datasets_have_their_own_budgets(tmp_path: Path) -> None:
    folders = used_up(world.pod(tmp_path))
    budgets = evaluate(folders, **model(0), rows="Validation")
    assert (budgets["Validation"].left, budgets["Test"].left) == (2, 0)
    assert evaluate(folders, **model(0), datasetName="lung")["Test"].left == 2


def test_another_schema_or_file_of_a_dataset_gives_nothing_back(tmp_path: Path) -> None:
    folders = used_up(world.pod(tmp_path))
    task = world.task()
    document, schema = task["dataset"], task["schema"]
    schema["fields"][1]["minimum"] = "1"
    (folders.raw / "cases.csv").rename(folders.raw / "other.csv")
    refused(folders, **model(LIMIT), dataset={**document, "path": "other.csv"}, schema=schema)


def test_an_evaluation_counts_for_thirty_days(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    for number in range(LIMIT):
        evaluate(folders, NOW + number * DAY, **model(number))
    later = NOW + 30 * DAY
    failure = refused(folders, later - timedelta(seconds=1), **model(LIMIT))
    assert "after 2026-12-24T12:00:00Z" in failure.message
    budget = evaluate(folders, later, **model(LIMIT))["Test"]
    assert (budget.used, budget.left, budget.until) == (LIMIT, 0, "2026-12-25T12:00:00Z")
    assert evaluate(folders, later + 31 * DAY, **model(0))["Test"].used == 1


def test_a_clock_that_goes_backwards_gives_nothing_back(tmp_path: Path) -> None:
    folders = used_up(world.pod(tmp_path))
    refused(folders, NOW - 365 * DAY, **model(LIMIT))


def test_evaluations_counted_by_a_late_clock_count_after_its_correction(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    evaluate(folders, **model(0))
    for number in range(1, LIMIT):
        evaluate(folders, NOW - 365 * DAY, **model(number))
    refused(folders, **model(LIMIT))


@pytest.mark.parametrize("days", [45, 91, 4000])
def test_a_clock_that_was_ahead_for_a_while_gives_nothing_back_after_it_is_right(tmp_path: Path, days: int) -> None:
    folders = used_up(world.pod(tmp_path))
    evaluate(folders, NOW + days * DAY, **model(LIMIT))
    refused(folders, NOW + DAY, **model(LIMIT + 1))


def test_entries_that_count_no_more_do_not_pile_up(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    for number in range(4 * LIMIT):
        evaluate(folders, NOW + number * 91 * DAY, **model(number))
    assert len(json.loads(file(folders).read_text())["evaluations"]) == 2 * LIMIT + 1


def test_only_an_evaluation_whose_rows_leave_prepare_counts(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    for kind in ("Train", "Statistics"):
        assert prepare(folders, world.task(kind, maxEvaluations=0)).evaluations is None
    few = world.pod(tmp_path / "few", world.rows(40))
    assert prepare(few, world.task("Evaluate", maxEvaluations=0)).samples == 0, "it is withheld"
    with pytest.raises(PodError, match="samples are left"):
        prepare(world.pod(tmp_path), world.task("Evaluate", minSamples=1000))
    assert not file(folders).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"evaluations":[{"at":"yesterday","rows":"Test","work":"x","pods":1}]}',
        b'{"evaluations":[],"more":1}',
        b'{"evaluations":[{"at":"2026-11-24T12:00:00Z","rows":"Test","work":"x","pods":-1}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_without_a_readable_count_nobody_evaluates_and_the_words_name_the_file(tmp_path: Path, content: bytes) -> None:
    folders = world.pod(tmp_path)
    evaluate(folders)
    file(folders).write_bytes(content)
    message = refused(folders, reason="EvaluationsUnreadable").message
    assert "administrator restores the file, or removes it" in message
    assert "rm secrets/evaluations/breast.json" in message
    assert "begins again at zero" in message
    assert file(folders).read_bytes() == content
    assert prepare(folders, world.task()).samples, "training goes on"
    file(folders).unlink()
    assert evaluate(folders)["Test"].used == 1


def test_a_count_that_is_no_file_is_not_readable(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    file(folders).mkdir(parents=True)
    refused(folders, reason="EvaluationsUnreadable")


def test_a_count_that_cannot_be_written_lets_nobody_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = world.pod(tmp_path)
    (folders.secrets / "evaluations").write_text("no folder")
    with pytest.raises(PodError, match=r"evaluations/breast\.json on the claim `state` cannot be written") as caught:
        evaluate(folders)
    assert caught.value.reason == "PodFailed"
    assert not folders.task_file.exists()


def test_a_pod_that_dies_while_it_writes_leaves_the_old_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = world.pod(tmp_path)
    evaluate(folders, **model(0))
    before = file(folders).read_bytes()

    def die(partial: Path, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(durable, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            evaluate(folders, **model(1))
    assert file(folders).read_bytes() == before
    assert evaluate(folders, **model(1))["Test"].used == 2


def hold(folders: Folders, number: int) -> str:
    """Counts an evaluation. Returns the fault in words, if there is one."""
    return evaluations.hold(folders.secrets, "breast", "Test", f"work {number}", 1, LIMIT, NOW)[1]


def test_pods_at_the_same_time_share_one_budget(tmp_path: Path) -> None:
    faults = world.at_once(8, lambda number: hold(Folders(tmp_path), number))
    assert sum(not fault for fault in faults) == LIMIT
    assert len(json.loads(file(Folders(tmp_path)).read_text())["evaluations"]) == LIMIT


def test_a_pod_reads_and_writes_the_count_under_one_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, steps = Folders(tmp_path), []

    def is_locked(step: str) -> None:
        with (folders.secrets / "evaluations" / "lock").open("ab") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        steps.append(step)

    read, write = Path.read_bytes, durable.write

    def locked_read(path: Path) -> bytes:
        is_locked("read")
        return read(path)

    def locked_write(path: Path, data: bytes, mode: int) -> None:
        is_locked("write")
        write(path, data, mode)

    monkeypatch.setattr(Path, "read_bytes", locked_read)
    monkeypatch.setattr(durable, "write", locked_write)
    assert hold(folders, 0) == ""
    assert steps == ["read", "write"]


def test_the_count_is_private_and_says_nothing_of_a_patient(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    evaluate(folders)
    assert stat.S_IMODE(file(folders).stat().st_mode) == 0o600
    assert stat.S_IMODE(file(folders).parent.stat().st_mode) == 0o700
    [entry] = json.loads(file(folders).read_text())["evaluations"]
    assert set(entry) == {"at", "rows", "work", "pods", "models"}
    assert entry["work"].startswith("sha256:")
