"""The section that compares the versions with models that single hospitals trained alone. Pure.

Its numbers are over several hospitals, as all numbers of the report: the people of all of them measured both models.
"""

from collections.abc import Iterator, Mapping

from wardround.api.federatedround import FederatedRound, base_name, base_version
from wardround.api.timeline import reached
from wardround.cli.report.document import Block, Paragraph, Section, Table
from wardround.cli.report.numbers import OVER, Compared, comparisons, difference_chart, ends, over
from wardround.cli.report.seen import ReportInput
from wardround.cli.shared_numbers import FEWEST_HOSPITALS
from wardround.plans.round.status import DISPATCHED

NOTHING = (
    "There is nothing to show yet: no round has measured a hospital's own model on the people of at least "
    f"{FEWEST_HOSPITALS} hospitals. docs/federation.md says how to measure one (Compare the model with a hospital's "
    "own)."
)
MEANING = (
    "A hospital's own model is one that the hospital trained alone, from its own statistics. Each number here is "
    "over the people of several hospitals together, so it is about no single hospital."
)


def own_models(seen: ReportInput) -> Section:
    """Own models that an Evaluate round has measured, and their differences from the shown versions."""
    owners = {
        name: hospital
        for name, each in seen.namespace_rounds.items()
        if each.spec.task == "Train" and (hospital := trained_alone(seen.namespace_rounds, each)) is not None
    }

    def model_name(round_name: str) -> str:
        hospital = owners.get(round_name)
        return f"own model of {seen.hospital(hospital)}" if hospital else seen.model.model_name(round_name)

    blocks: list[Block] = []
    measured = _differences(seen, owners)
    if measured:
        title = "Versions and own models: difference in log loss on the same people"
        names = ", ".join(dict.fromkeys(f"round {each.measured_by}" for each in measured))
        blocks.append(difference_chart(title, names, measured, model_name))
    rows = _numbers(seen, owners)
    if rows:
        columns = ("metric", "own model of", "value", "95 % interval", "better", *OVER, "measured by")
        caption = "Own models with their metrics. Each metric comes from the newest round that measured the model"
        blocks.append(Table(caption, columns, rows, numbers=("value", "people", "hospitals")))
    text = MEANING if blocks else NOTHING
    return Section("own", "Models that hospitals trained alone", (Paragraph(text), *blocks))


def trained_alone(rounds: Mapping[str, FederatedRound], made_by: FederatedRound) -> str | None:
    """The only hospital whose rows are in the model of a round. None if others took part, somebody pushed weights, or
    a round that led to the model is gone. `rounds`: by name."""
    hospital: str | None = None
    visited, each = set[str](), made_by
    while True:
        names = each.spec.participants.names or ()
        if len(names) != 1 or names[0] != (hospital or names[0]) or base_version(each):
            return None
        hospital, base = names[0], base_name(each)
        visited.add(each.metadata.name)
        if base is None:
            return hospital
        if base in visited or base not in rounds or not is_earlier(rounds[base], each):
            return None
        each = rounds[base]


def is_earlier(named: FederatedRound, used_by: FederatedRound) -> bool:
    """Whether the round `used_by` used this round. A result names other rounds, and people can delete a round and make
    another one of its name. Such a round has asked its hospitals later."""
    asked, used = (reached(each.status.timeline, DISPATCHED) for each in (named, used_by))
    return asked is not None and used is not None and asked < used


def _measuring(seen: ReportInput) -> Iterator[tuple[str, FederatedRound]]:
    """Rounds that can have measured an own model, with their names. A person may push weights under the name of a
    round, so no number of pushed weights is one of an own model."""
    return ((name, each) for name, each in seen.namespace_rounds.items() if not base_version(each))


def _differences(seen: ReportInput, owners: Mapping[str, str]) -> list[Compared]:
    """Each comparison of an own model with a shown version, by the newest round that made it."""
    shown = {each.spec.round_name for each in seen.shown_versions()}
    newest: dict[tuple[str, str], Compared] = {}
    for _, each in _measuring(seen):
        for measured in comparisons(each):
            pair = measured.difference.model, measured.difference.reference
            # A version can be an own model too.
            own = next((one for one, other in (pair, pair[::-1]) if one in owners and other in shown), "")
            if own and is_earlier(seen.namespace_rounds[own], each):
                newest[pair] = measured
    return list(newest.values())


def _numbers(seen: ReportInput, owners: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    newest: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, each in _measuring(seen):
        for metric in each.status.result.metrics if each.status.result else ():
            if metric.model in owners and is_earlier(seen.namespace_rounds[metric.model], each):
                hospital = seen.hospital(owners[metric.model])
                shown = (metric.name, hospital, metric.value, ends(metric), metric.better or "", *over(metric), name)
                newest[metric.name, metric.model] = shown
    return tuple(newest[key] for key in sorted(newest))
