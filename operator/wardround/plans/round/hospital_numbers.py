"""Adds to the result of a round what the aggregation says of numbers of single hospitals. Decides nothing."""

from dataclasses import replace

from wardround.plans.round.combine import aggregated
from wardround.plans.round.rulings import completed
from wardround.plans.round.server_state import kept_in_words
from wardround.plans.round.types import Ruling, StoreModel
from wardround.plans.round.view import View


def aggregated_with_numbers(view: View) -> Ruling | None:
    """The rule `aggregated`. A result that it keeps has these numbers too."""
    ruling = aggregated(view)
    kept = next((each for each in (ruling.actions if ruling else ()) if isinstance(each, StoreModel)), None)
    if kept is None:
        return ruling
    result = replace(kept.model.result, numbers_too_large=kept.answer.numbers_too_large)
    model = replace(kept.model, result=result)
    return completed(view, model, kept_in_words(view, model), replace(kept, model=model))
