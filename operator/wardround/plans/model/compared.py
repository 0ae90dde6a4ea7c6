"""Says in words what a comparison has measured on the same people, from the numbers of its result. Pure."""

from __future__ import annotations

from wardround.api.federatedround import Result, ResultDifference
from wardround.metrics.bound import LARGEST_BOUND, gate_bound
from wardround.plans.model.series import LOSS


def ends(low: str | None, high: str | None) -> str:
    """The 95 % interval of a difference; empty without one. Its ends are rounded outwards, so an end that is shown as 0
    lies on the side of the other end, and the interval does not contain 0. Equal models have an interval of two 0s."""
    if low is None or high is None:
        return ""
    if low == "0" and high != "0":
        low = "above 0"
    elif high == "0" and low != "0":
        high = "below 0"
    return f"{low} to {high}"


def own_loss(result: Result, difference: ResultDifference) -> str:
    """The log loss of the measured model on the people of the difference; empty if the result does not show it."""
    over = (LOSS, difference.model, difference.rows, difference.people, difference.hospitals)
    known = (
        each.value for each in result.metrics if (each.name, each.model, each.rows, each.people, each.hospitals) == over
    )
    return next(known, "")


def sentences(result: Result, difference: ResultDifference, model: str, reference: str) -> str:
    """Both losses, and the difference. `model`, `reference`: what people call the measured model and the reference."""
    loss, interval = own_loss(result, difference), ends(difference.low, difference.high)
    known = f"{difference.value} (95 % interval: {interval})" if interval else difference.value
    if loss and difference.reference_loss is not None:
        return (
            f"On the same people, the log loss of {model} is {loss}, and the log loss of {reference} is "
            f"{difference.reference_loss}. The difference is {known}."
        )
    return f"On the same people, the log loss of {model} minus the log loss of {reference} is {known}."


def bound_of_gate(difference: ResultDifference) -> str:
    """A sentence about the bound that this difference may not exceed. The exact bound stays in the aggregation, so this
    one is computed from the rounded numbers that the result shows."""
    if difference.reference_loss is None:
        return f"The bound of the gate is at most {LARGEST_BOUND}."
    computed = gate_bound(float(difference.reference_loss), difference.events, difference.people)
    # 0.0 is added because -0.0 would be shown with its sign.
    # A difference of 0 would not be enough. People take such a bound for a fault of the gate.
    why = ": the earlier model predicts worse than the prevalence does" if computed < 0 else ""
    return f"The bound of the gate is about {round(computed, 3) + 0.0:g}{why}."
