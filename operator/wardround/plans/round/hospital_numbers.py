"""Adds to the result of a round what the aggregation says of single updates: the middle norm, and numbers that no
mean counts. Decides nothing."""

from dataclasses import replace

from wardround.plans.round.combine import aggregated
from wardround.plans.round.rulings import completed
from wardround.plans.round.server_state import kept_in_words
from wardround.plans.round.types import Ruling, StoreModel
from wardround.plans.round.view import View


def aggregated_with_numbers(view: View) -> Ruling | None:
    """The rule `aggregated`. A result that it keeps says this of the updates too."""
    ruling = aggregated(view)
    kept = next((each for each in (ruling.actions if ruling else ()) if isinstance(each, StoreModel)), None)
    if kept is None:
        return ruling
    answer = kept.answer
    result = replace(
        kept.model.result,
        numbers_too_large=answer.numbers_too_large,
        middle_norm=answer.middle_norm,
    )
    model = replace(kept.model, result=result)
    return completed(view, model, kept_in_words(view, model), replace(kept, model=model))
