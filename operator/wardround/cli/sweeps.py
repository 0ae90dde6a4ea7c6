"""Makes the FederatedModels of a sweep over parameters, and ranks them by their loss on validation rows. Pure.

A sweep measures no test rows, delivers nothing and promotes nothing. Its models differ only in the varied parameters.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from wardround.api import conditions, federatedmodel, modelversion, names
from wardround.api.federatedmodel import FederatedModel, FederatedModelSpec
from wardround.api.federatedround import ResultMetric
from wardround.api.modelversion import ModelVersion
from wardround.api.nearest import nearest
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import interval
from wardround.cli.objects import Object, printable, read
from wardround.plans.model.comparable import usual_number
from wardround.reasons.registry import meant
from wardround.wire import canonical, codec

MOST_MODELS = 32
NAME_LENGTH = 40
# What begins further series, or brings a model to hospitals.
LEFT_OUT = ("trigger", "deliver", "current")
LOSS = "loss"


@dataclass(frozen=True)
class Member:
    """A FederatedModel of a sweep. `values`: of the parameters that vary."""

    name: str
    values: Mapping[str, str]
    item: Object


@dataclass(frozen=True)
class RankedModel:
    """`loss`: of the model's version, on validation rows; None as long as there is none. `compared`: whether the loss
    is over as many hospitals as most losses of the sweep, so that it has a rank."""

    member: Member
    state: str
    loss: ResultMetric | None
    compared: bool = False


def values(options: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of each parameter, from texts such as `learningRate=0.003,0.01`. Raises CommandError."""
    known: dict[str, tuple[str, ...]] = {}
    for option in options:
        name, equals, text = option.partition("=")
        given = tuple(text.split(","))
        if not name or not equals or not all(given) or len(set(given)) != len(given):
            raise CommandError(
                f"--set {option!r} cannot be used: write PARAMETER=VALUE,VALUE, with values that all differ."
            )
        if name in known:
            raise CommandError(
                f"--set names the parameter {name} twice. Write all values of the parameter after one --set."
            )
        known[name] = given
    return known


def from_file(path: Path) -> Object:
    """The one FederatedModel of a file that may hold other objects. Raises CommandError."""
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{path} cannot be read as YAML: {error}") from error
    models = [each for each in documents if isinstance(each, dict) and each.get("kind") == federatedmodel.KIND]
    if len(models) != 1:
        count = len(models) or "no"
        raise CommandError(f"{path} has {count} objects of kind FederatedModel. Give a file with exactly one.")
    try:
        federatedmodel.parse(models[0])
    except codec.Malformed as error:
        raise CommandError(f"This program cannot read the FederatedModel in {path}: {error}.") from error
    return models[0]


def members(model: Object, varied: Mapping[str, Sequence[str]], namespace: str) -> tuple[Member, ...]:
    """One model for each combination of values. Names come from the values, so a repeated command makes no model twice.
    Raises CommandError."""
    number = len(list(itertools.product(*varied.values())))
    if not 2 <= number <= MOST_MODELS:
        raise CommandError(
            f"The values after --set make {number} models, and a sweep has 2 to {MOST_MODELS}. Give more or fewer "
            "values."
        )
    _refuse_unknown(model, varied)
    _refuse_scheduled(model, varied)
    sweep = str(model["metadata"]["name"])
    made = []
    for combination in itertools.product(*varied.values()):
        chosen = dict(zip(varied, combination, strict=True))
        name = f"{sweep[:NAME_LENGTH].rstrip('-.')}-{names.short(canonical.dumps(chosen).decode())}"
        spec = {field: copy.deepcopy(each) for field, each in model["spec"].items() if field not in LEFT_OUT}
        series = spec["series"]
        series["parameters"] = {**(series.get("parameters") or {}), **chosen}
        spec["gate"] = {**(spec.get("gate") or {}), "promote": "Manual"}
        spec["evaluation"] = {**(spec.get("evaluation") or {}), "testRows": False}
        # No label of the file: Argo CD takes objects with a label of its own for its own, and deletes them.
        metadata = {"name": name, "namespace": namespace, "labels": {names.SWEEP: names.label_value(sweep)}}
        item = {"apiVersion": model["apiVersion"], "kind": federatedmodel.KIND, "metadata": metadata, "spec": spec}
        made.append(Member(name, chosen, item))
    return tuple(made)


def missing(planned: Iterable[Member], live: Mapping[str, Object]) -> tuple[Member, ...]:
    """The members that are still to be made. Raises CommandError if a live object is not the planned one."""
    for each in planned:
        if each.name not in live:
            continue
        if _spec(live[each.name]) != _spec(each.item):
            raise CommandError(
                f"FederatedModel {each.name} exists with another spec than the file and the values after --set say. To "
                f"begin again, delete the models of the sweep: kubectl delete federatedmodel -l "
                f"{names.SWEEP}={each.item['metadata']['labels'][names.SWEEP]} -n {each.item['metadata']['namespace']}"
            )
    return tuple(each for each in planned if each.name not in live)


def ranking(
    planned: Iterable[Member], live: Mapping[str, Object], versions: Iterable[Object]
) -> tuple[RankedModel, ...]:
    """The models with a comparable loss first, the lowest before the others. Raises codec.Malformed.

    Only losses over equally many hospitals are compared (plans/model/comparable.py).
    """
    made: dict[str, ModelVersion] = {}
    for each in versions:
        parsed = read(modelversion.parse, each)
        made[parsed.metadata.labels.get(names.MODEL_UID, "")] = parsed
    rows = []
    for member in planned:
        model = read(federatedmodel.parse, live[member.name])
        version = made.get(model.metadata.uid)
        metrics = version.status.metrics if version else ()
        loss = next((each for each in metrics if (each.name, each.rows) == (LOSS, "Validation")), None)
        rows.append(RankedModel(member, _state(model, loss), loss))
    usual = usual_number(each.loss.hospitals for each in rows if each.loss)
    ranked = [RankedModel(each.member, each.state, each.loss, _counts(each.loss, usual)) for each in rows]
    return tuple(sorted(ranked, key=_place))


def table(sweep: str, ranked: Sequence[RankedModel]) -> Table:
    """All texts are Text objects, because rich reads brackets in a str as markup."""
    varied = list(ranked[0].member.values) if ranked else []
    made = Table(title=Text(f"sweep {sweep}"), title_justify="left")
    for column in ("rank", "model", *varied, "loss", "people", "hospitals", "state"):
        made.add_column(column, no_wrap=column == "model")
    for place, each in enumerate(ranked, 1):
        loss = each.loss
        numbers = (interval(loss), str(loss.people), str(loss.hospitals)) if loss else ("", "", "")
        rank = str(place) if each.compared else ""
        chosen = (printable(each.member.values[name]) for name in varied)
        made.add_row(*map(Text, (rank, each.member.name, *chosen, *numbers, each.state)))
    return made


def lines(ranked: Sequence[RankedModel], namespace: str) -> list[str]:
    """How many models were compared, and on which rows, and what to do next."""
    compared = [each for each in ranked if each.compared]
    over = f" of {compared[0].loss.hospitals} hospitals" if compared and compared[0].loss else ""
    answer = [f"The table ranks {len(compared)} of {len(ranked)} models by their loss on validation rows{over}."]
    others = [each for each in ranked if each.loss and not each.compared]
    if others:
        answer.append(
            f"Models without a rank: {len(others)}, because their loss is over another number of hospitals than the "
            "losses of the ranked models."
        )
    if len(compared) > 1:
        first, second = (each.member.name for each in compared[:2])
        answer += [
            f"Do not report the lowest of these {len(compared)} losses as the loss of the model: it is too low on "
            "average, because it was chosen as the lowest. To get a number for a report, measure the model that you "
            "choose in an Evaluate round with `rows: Test`. The sweep has read no test row.",
            f"To compare the first two models on the same patients: kubectl wardround compare federatedmodel/{first} "
            f"federatedmodel/{second} -n {namespace}",
        ]
    return answer


def _refuse_unknown(model: Object, varied: Iterable[str]) -> None:
    """Training code may ignore a name that it does not know, so all models would be equal. Raises CommandError."""
    written = federatedmodel.parse(model).spec.series.parameters
    for each in varied:
        if each not in written:
            name = model["metadata"]["name"]
            raise CommandError(
                f"--set names the parameter {each}, which spec.series.parameters of FederatedModel {name} lacks."
                f"{meant(nearest(each, written))} To vary a parameter that the file leaves to its default, first "
                "write the parameter with any value into spec.series.parameters of the file: --set replaces this value."
            )


def _refuse_scheduled(model: Object, varied: Iterable[str]) -> None:
    """From its first step on, a schedule replaces the varied value: with `fromRound: 1`, all models would be equal.
    Raises CommandError."""
    schedules = federatedmodel.parse(model).spec.series.schedules
    if both := sorted(set(varied) & {each.parameter for each in schedules}):
        scheduled, name = ", ".join(both), model["metadata"]["name"]
        raise CommandError(
            f"--set and spec.series.schedules of FederatedModel {name} both set {scheduled}. From its first step "
            "on, the schedule counts and not --set, so the sweep would compare equal models. Remove these schedules "
            "from the file, or vary other parameters with --set."
        )


def _spec(item: Object) -> FederatedModelSpec:
    """The spec as it is compared. People may suspend a model of a sweep."""
    return replace(federatedmodel.parse(item).spec, suspend=False)


def _state(model: FederatedModel, loss: ResultMetric | None) -> str:
    known, series = model.status.conditions, model.status.series
    if conditions.is_true(known, "Stalled"):
        stalled = conditions.find(known, "Stalled")
        return f"stalled: {stalled.reason}" if stalled else "stalled"
    if series is None:
        return "waits for the hub operator"
    if series.stage == "Ended":
        return "ended" if loss else "ended without a loss"
    return f"{series.stage}, round {series.round} of at most {model.spec.series.rounds}"


def _counts(loss: ResultMetric | None, usual: int) -> bool:
    return loss is not None and loss.hospitals == usual


def _place(each: RankedModel) -> tuple[Any, ...]:
    return (
        not each.compared,
        each.loss is None,
        Decimal(each.loss.value) if each.loss else Decimal(0),
        each.member.name,
    )
