"""A sweep makes one model for each combination, and ranks those whose losses can be compared."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wardround.api import federatedmodel, names
from wardround.cli import sweeps
from wardround.cli.errors import CommandError

NAMESPACE = "breast-cancer"
EXAMPLE = Path(__file__).parents[3] / "examples" / "breast-cancer" / "model.yaml"
MODEL: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
VARIED = {"batchSize": ("16", "32"), "epochs": ("5",)}


def planned(**more: Any) -> tuple[sweeps.Member, ...]:
    model = copy.deepcopy(MODEL)
    model["spec"] |= more
    return sweeps.members(model, VARIED, NAMESPACE)


def lived(*members: sweeps.Member, **status: Any) -> dict[str, Any]:
    """The models as the API server has them."""
    return {
        each.name: {
            **each.item,
            "metadata": {**each.item["metadata"], "uid": f"uid-{each.name}", "generation": 1},
            "status": status,
        }
        for each in members
    }


def version(member: sweeps.Member, loss: str, hospitals: int = 3, rows: str = "Validation") -> dict[str, Any]:
    metric = {"name": "loss", "value": loss, "people": 90, "hospitals": hospitals, "rows": rows, "model": "r"}
    spec = {"modelName": member.name, "version": 1, "series": 1, "roundName": "r", "roundUID": "u", "digest": "d"}
    spec |= {"parents": [], "release": "Participants"}
    return {
        "metadata": {"name": f"{member.name}-v1", "labels": {names.MODEL_UID: f"uid-{member.name}"}},
        "spec": spec,
        "status": {"metrics": [metric]},
    }


def test_each_combination_is_a_model_that_delivers_and_promotes_nothing() -> None:
    given = {"trigger": {"cron": "0 2 * * 1"}, "deliver": {"to": "Participants"}, "current": {"version": 3}}
    made = planned(**given, gate={"minEvents": 30, "promote": "Automatic"})
    assert [dict(each.values) for each in made] == [
        {"batchSize": "16", "epochs": "5"},
        {"batchSize": "32", "epochs": "5"},
    ]
    assert len({each.name for each in made}) == 2
    for each in made:
        spec = federatedmodel.parse(each.item).spec
        assert (spec.trigger, spec.deliver.recipients, spec.current) == (None, "Nobody", None)
        assert (spec.gate.promote, spec.gate.min_events) == ("Manual", 30)
        assert not spec.evaluation.test_rows
        assert spec.series.parameters == {**MODEL["spec"]["series"]["parameters"], **each.values}
        assert each.item["metadata"]["labels"] == {names.SWEEP: "breast"}
        assert each.name.startswith("breast-")


def test_no_label_or_annotation_of_the_file_reaches_the_models() -> None:
    """Argo CD would take the models for its own, and delete them, because they are in no repository."""
    model = copy.deepcopy(MODEL)
    model["metadata"] |= {
        "labels": {"app.kubernetes.io/instance": "federation", "argocd.argoproj.io/instance": "federation"},
        "annotations": {"argocd.argoproj.io/tracking-id": "federation:wardround.io/FederatedModel:federation/breast"},
    }
    for each in sweeps.members(model, VARIED, NAMESPACE):
        assert each.item["metadata"] == {
            "name": each.name,
            "namespace": NAMESPACE,
            "labels": {names.SWEEP: "breast"},
        }


def test_a_repeated_command_makes_only_what_is_missing() -> None:
    first, second = planned()
    assert sweeps.missing((first, second), lived(first)) == (second,)
    assert planned()[1].name == second.name
    live = lived(first, second)
    live[first.name]["spec"]["suspend"] = True
    assert sweeps.missing((first, second), live) == ()


def test_a_model_that_reads_test_rows_is_no_part_of_a_sweep() -> None:
    first, second = planned()
    live = lived(first, second)
    evaluation = {**second.item["spec"]["evaluation"], "testRows": True}
    live[second.name]["spec"] = {**second.item["spec"], "evaluation": evaluation}
    with pytest.raises(CommandError, match="exists with another spec"):
        sweeps.missing((first, second), live)


def test_a_changed_file_is_no_further_part_of_the_same_sweep() -> None:
    first, second = planned(initial={"seed": 8})
    with pytest.raises(CommandError, match=r"exists with another spec .* kubectl delete federatedmodel -l "):
        sweeps.missing((first, second), lived(*planned()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["learningRate"], "write PARAMETER=VALUE,VALUE"),
        (["=1,2"], "write PARAMETER=VALUE,VALUE"),
        (["epochs=1,,2"], "write PARAMETER=VALUE,VALUE"),
        (["epochs=1,1"], "with values that all differ"),
        (["epochs=1,2", "epochs=3"], "names the parameter epochs twice"),
    ],
)
def test_values_that_cannot_be_read_are_refused(options: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        sweeps.values(options)


@pytest.mark.parametrize(("count", "refused"), [(1, True), (2, False), (32, False), (33, True)])
def test_a_sweep_has_two_to_thirty_two_models(count: int, refused: bool) -> None:
    varied = sweeps.values([f"epochs={','.join(map(str, range(count)))}"])
    if not refused:
        assert len(sweeps.members(MODEL, varied, NAMESPACE)) == count
        return
    with pytest.raises(CommandError, match=f"The values after --set make {count} models"):
        sweeps.members(MODEL, varied, NAMESPACE)


def test_a_sweep_over_a_scheduled_parameter_is_refused() -> None:
    """The example has a schedule of learningRate. It would replace the values that the sweep compares."""
    varied = {"epochs": ("1", "2"), "learningRate": ("0.003", "0.01")}
    with pytest.raises(CommandError, match=r"--set and spec\.series\.schedules .* breast both set learningRate"):
        sweeps.members(MODEL, varied, NAMESPACE)
    without = copy.deepcopy(MODEL)
    del without["spec"]["series"]["schedules"]
    assert len(sweeps.members(without, varied, NAMESPACE)) == 4


@pytest.mark.parametrize(
    ("name", "guess"), [("learningrate", " Was learningRate meant?"), ("epoch", " Was epochs meant?"), ("dropout", "")]
)
def test_a_sweep_over_a_name_that_the_file_lacks_is_refused(name: str, guess: str) -> None:
    """A name with a slip would make equal models."""
    words = f"parameter {name}, which spec.series.parameters of FederatedModel breast lacks.{guess} To vary"
    with pytest.raises(CommandError, match=re.escape(words)):
        sweeps.members(MODEL, {name: ("0.003", "0.01")}, NAMESPACE)
    file = copy.deepcopy(MODEL)
    file["spec"]["series"]["parameters"][name] = "0"
    assert len(sweeps.members(file, {name: ("0.003", "0.01")}, NAMESPACE)) == 2


def test_the_lowest_loss_is_first_and_the_answer_says_how_many_were_compared() -> None:
    varied = sweeps.values(["epochs=1,2,3,4"])
    one, two, three, four = sweeps.members(MODEL, varied, NAMESPACE)
    live = lived(one, two, three, four)
    # The loss over two hospitals is lower because the difficult one is missing. Test rows do not count at all.
    made = [version(one, "0.4"), version(two, "0.31"), version(three, "0.2", hospitals=2)]
    made.append(version(four, "0.1", rows="Test"))
    ranked = sweeps.ranking((one, two, three, four), live, made)
    assert [each.member.name for each in ranked] == [two.name, one.name, three.name, four.name]
    assert [each.compared for each in ranked] == [True, True, False, False]
    output = sweeps.lines(ranked, NAMESPACE)
    assert output[0] == "The table ranks 2 of 4 models by their loss on validation rows of 3 hospitals."
    assert output[1].startswith("Models without a rank: 1, because their loss is over another number of hospitals")
    assert "Do not report the lowest of these 2 losses" in output[2]
    compare = f"kubectl wardround compare federatedmodel/{two.name} federatedmodel/{one.name} -n {NAMESPACE}"
    assert output[3].endswith(compare)


def test_without_a_loss_nothing_has_a_rank_and_the_state_says_why() -> None:
    members = planned()
    stalled = {"type": "Stalled", "status": "True", "reason": "RoundRefused"}
    ranked = sweeps.ranking(members, lived(*members, conditions=[stalled]), [])
    assert [(each.compared, each.state) for each in ranked] == [(False, "stalled: RoundRefused")] * 2
    assert sweeps.lines(ranked, NAMESPACE) == ["The table ranks 0 of 2 models by their loss on validation rows."]


@pytest.mark.parametrize("text", ["kind: FederatedRound", "a: [", "kind: FederatedModel\n---\nkind: FederatedModel"])
def test_a_file_without_exactly_one_model_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match=r"exactly one|cannot be read"):
        sweeps.from_file(file)
