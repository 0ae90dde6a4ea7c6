"""What repeats, a holdout and the smallest cell change, and what a person reads when a round fails."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from lab import demo_data
from lab.demo_rounds import EXAMPLES
from tests.simulation.programs import OWN_IMAGE
from tests.unit.simulate.rounds import digests, played, short
from wardround.api.names import PARTICIPANT, ROUND
from wardround.api.times import to_seconds
from wardround.metrics.digits import rounded_count
from wardround.pod.evaluations import Count, Evaluation
from wardround.simulate.errors import SimulationError
from wardround.simulate.files import HOLDOUT
from wardround.simulate.play import HOSPITALS, Finished, Skipped, play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared
from wardround.simulate.table import remarks
from wardround.simulate.trainers import script
from wardround.tabular import split
from wardround.wire import codec


def rounds_in(finished: list[Finished], repeat: int) -> list[str]:
    return digests([each for each in finished if each.repeat == repeat])


def test_the_first_repeat_is_as_the_files_say_and_the_others_differ(data: Path, once: list[str]) -> None:
    repeated = played(short(), data, repeats=3)
    assert rounds_in(repeated, 1) == once
    assert len({*rounds_in(repeated, 1), *rounds_in(repeated, 2), *rounds_in(repeated, 3)}) == 9
    # Each repeat has another split, so other patients are counted.
    samples = {tuple(each.result.samples for each in repeated if each.repeat == number) for number in (1, 2, 3)}
    assert len(samples) == 3


def test_the_same_seed_makes_the_same_repeats_and_another_seed_makes_others(data: Path) -> None:
    first = played(short(), data, repeats=2)
    assert digests(played(short(), data, repeats=2)) == digests(first)
    other = played(short(), data, repeats=2, seed=1)
    assert rounds_in(other, 1) == rounds_in(first, 1)
    assert not set(rounds_in(other, 2)) & set(rounds_in(first, 2))


def test_without_secrets_a_simulation_is_still_reproducible(data: Path, once: list[str], tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(data, bare, ignore=shutil.ignore_patterns("secrets"))
    first = played(short(), bare)
    assert digests(played(short(), bare)) == digests(first)
    assert not set(digests(first)) & set(once)


def test_hospitals_with_one_key_file_share_the_key_of_every_repeat(data: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    same.mkdir()
    shutil.copy(data / "dataschema.yaml", same)
    for name, end in (("site-a", b""), ("site-b", b"\n")):
        shutil.copytree(data / "site-a", same / name)
        spec = yaml.safe_load((same / name / "dataset.yaml").read_text())
        spec["spec"]["split"]["keyFile"] = "split.key"
        (same / name / "dataset.yaml").write_text(yaml.safe_dump(spec))
        (same / name / "split.key").write_bytes(b"the key of both hospitals" + end)
    fingerprints = []

    def see(ended: Ended) -> None:
        if ended.verb == "prepare":
            assert ended.step.report is not None
            fingerprints.append(ended.step.report.split_fingerprint)

    statistics = short()[0]
    statistics["spec"] |= {"participants": {"names": ["site-a", "site-b"]}, "quorum": {"min": 2}}
    list(play(prepared([statistics], same, repeats=2, trainer=script(OWN_IMAGE)), watch=see))
    first, second = fingerprints[:2], fingerprints[2:]
    assert first == [split.fingerprint(b"the key of both hospitals")] * 2
    assert len(set(second)) == 1
    assert second != first


def test_a_key_file_that_the_folder_lacks_is_named(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "lacking")
    file = tmp_path / "lacking" / "site-b" / "dataset.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["spec"]["split"]["keyFile"] = "split.key"
    file.write_text(yaml.safe_dump(spec))
    with pytest.raises(SimulationError, match=r"has no file split\.key \(spec\.split\.keyFile\)"):
        played(short(), tmp_path / "lacking")


def order_seed(data: Path) -> int:
    """The seed from which training code draws the order of rows, at site-a in the first round of training."""
    seeds = []

    def see(ended: Ended) -> None:
        labels, file = ended.container.job["metadata"]["labels"], ended.container.folder / "task" / "task.json"
        if (ended.verb, labels[PARTICIPANT], labels[ROUND]) == ("train", "site-a", "train-1"):
            seeds.append(json.loads(file.read_text())["orderSeed"])

    list(play(prepared(short()[:2], data, trainer=script(OWN_IMAGE)), watch=see))
    [seed] = seeds
    return int(seed)


def test_the_order_of_rows_depends_on_the_key_in_the_folder(data: Path, tmp_path: Path) -> None:
    """The example's trainer draws nothing, so its models do not show it."""
    other = tmp_path / "other"
    shutil.copytree(data, other)
    assert order_seed(other) == order_seed(data)
    (other / "site-a" / "secrets" / "order" / "key").write_bytes(bytes(32))
    assert order_seed(other) != order_seed(data)


def test_every_row_of_the_holdout_is_evaluated_and_none_is_trained_on(
    data: Path, once: list[str], tmp_path: Path
) -> None:
    header, rows = demo_data.tables()["site-a"]
    file = tmp_path / "elsewhere.csv"
    demo_data.write((header, [[f"other-{row[0]}", *row[1:]] for row in rows]), file)
    finished = played(short(), data, holdout=file)
    assert digests([each for each in finished if each.source == HOSPITALS]) == once
    [evaluated] = [each for each in finished if each.source == HOLDOUT]
    assert evaluated.task == "Evaluate"
    usable = len(rows) - len(demo_data.BLEMISHES["site-a"])
    assert evaluated.result.samples == rounded_count(usable)
    assert float({each.name: each.value for each in evaluated.result.metrics}["accuracy"]) > 0.9


def test_a_round_below_its_quorum_fails_with_the_reason_of_each_hospital(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    lines = (broken / "site-b" / "cases.csv").read_text().splitlines(keepends=True)
    (broken / "site-b" / "cases.csv").write_text("".join(lines[:5]))
    with pytest.raises(SimulationError) as failed:
        played(short(), broken)
    assert "Round statistics has failed. QuorumNotMet" in str(failed.value)
    assert "site-b: prepare: TooFewSamples" in str(failed.value)


def test_a_round_goes_on_without_a_hospital_if_its_quorum_lets_it(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    lines = (broken / "site-b" / "cases.csv").read_text().splitlines(keepends=True)
    (broken / "site-b" / "cases.csv").write_text("".join(lines[:5]))
    rounds = short()
    for each in rounds[:2]:
        each["spec"]["quorum"] = {"min": 2}
    finished = played(rounds, broken)
    assert [each.aggregated for each in finished] == [2, 2, 1]
    assert {entry.reason for each in finished for entry in each.attention} == {"TooFewSamples"}
    assert {entry.participant for each in finished for entry in each.attention} == {"site-b"}


def test_an_evaluation_that_fails_in_one_of_several_repeats_is_skipped(data: Path) -> None:
    rounds = short()
    rounds[2]["spec"]["quorum"] = {"min": 3}
    with pytest.raises(SimulationError, match=r"Round evaluate has failed\. NumbersWithheld: 2 hospitals"):
        played(rounds, data)
    ended = list(play(prepared(rounds, data, repeats=2, trainer=script(OWN_IMAGE))))
    assert [each.repeat for each in ended if isinstance(each, Skipped)] == [1, 2]
    assert [each.name for each in ended if isinstance(each, Finished)] == ["statistics", "train-1"] * 2


def test_an_evaluation_of_the_holdout_alone_asks_no_hospital(data: Path) -> None:
    rounds = short()
    rounds[2]["spec"]["participants"] = {"names": ["holdout"]}
    finished = played(rounds, data, holdout=data / "site-a" / "cases.csv")
    assert [each.source for each in finished] == [HOSPITALS, HOSPITALS, HOLDOUT]


def test_a_file_of_which_too_much_is_left_out_is_refused(data: Path) -> None:
    with pytest.raises(SimulationError, match="site-a: prepare: TooManyRowsLeftOut"):
        played(short(), data, max_left_out="0.001")


def test_a_simulation_evaluates_more_models_than_a_hospital_allows_by_default(data: Path, tmp_path: Path) -> None:
    often = tmp_path / "often"
    shutil.copytree(data, often)
    now = to_seconds(datetime.now(UTC))
    evaluated = [Evaluation(at=now, rows="Test", work=f"model {number}", pods=1) for number in range(20)]
    for folder in often.glob("*/secrets"):
        (folder / "evaluations").mkdir()
        (folder / "evaluations" / "breast.json").write_bytes(codec.write_document(Count(tuple(evaluated))))
    assert [each.name for each in played(short(), often)] == ["statistics", "train-1", "evaluate"]


def test_a_simulation_shows_the_output_of_training_code_that_failed(data: Path, tmp_path: Path) -> None:
    code = OWN_IMAGE.read_text().replace("    validate(model, task)", "    validate(model)")
    (tmp_path / "changed.py").write_text(code)
    with pytest.raises(SimulationError) as failed:
        played(short(), data, trainer=script(tmp_path / "changed.py"))
    text = str(failed.value)
    assert "Round train-1 has failed" in text
    assert "site-a: train: TrainerFailed: exit code 1" in text
    assert "TypeError: validate() missing 1 required positional argument" in text


def test_a_hospital_alone_may_be_asked(data: Path) -> None:
    rounds = short()
    for each in rounds[:2]:
        each["spec"]["participants"], each["spec"]["quorum"] = {"names": ["site-c"]}, {"min": 1}
    assert [each.aggregated for each in played(rounds, data)] == [1, 1, 2]


def test_a_selector_finds_every_hospital(data: Path, once: list[str]) -> None:
    rounds = short()
    for each in rounds:
        each["spec"]["participants"] = {"selector": {"matchLabels": {"country": "AT"}}}
    assert digests(played(rounds, data)) == once


async def test_it_runs_where_an_event_loop_runs(data: Path, once: list[str]) -> None:
    """As in a notebook."""
    assert digests(played(short(), data)) == once


@pytest.mark.parametrize("rows", ["Validation", "Test"])
def test_the_examples_measure_what_a_prediction_needs(data: Path, rows: str) -> None:
    """But for a recalibration: for that, the demo has too few people."""
    *training, evaluation = short()
    model, measured = yaml.safe_load((EXAMPLES / "model.yaml").read_text()), evaluation["spec"]
    measured |= {"rows": rows} | ({"metrics": model["spec"]["round"]["metrics"]} if rows == "Validation" else {})
    result = played([*training, evaluation], data)[-1].result
    metrics = {each.name: each for each in result.metrics}
    assert {"threshold", "specificityAtThreshold", "calibration"} <= set(metrics)
    assert "calibrationSlope" not in metrics
    assert float(metrics["threshold"].value) > 0
    assert result.calibration


def test_a_hospital_whose_number_is_too_large_for_a_mean_counts_and_is_named(data: Path) -> None:
    rounds = short()[:2]
    rounds[1]["spec"]["metrics"] = ["own"]

    def see(ended: Ended) -> None:
        if ended.verb == "train":
            hospital = ended.container.job["metadata"]["labels"][PARTICIPANT]
            metrics = {"base": {"own": 1e308 if hospital == "site-a" else 0.5}}
            (ended.container.folder / "out" / "metrics.json").write_text(json.dumps(metrics))

    _, trained = play(prepared(rounds, data, trainer=script(OWN_IMAGE)), watch=see)
    assert isinstance(trained, Finished)
    # The only other number would be that of one hospital.
    assert (trained.counted, trained.result.metrics) == (("site-a", "site-b"), ())
    lines = [line for line in remarks([trained], 11) if "site-c" not in line]
    assert [line.split(": ")[:3] for line in lines] == [["train-1", "site-a", "NumberTooLarge"]]
