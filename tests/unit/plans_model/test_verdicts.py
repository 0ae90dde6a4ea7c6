"""The words of a verdict about hospitals: those that the gate did not see, and those that decided for themselves."""

from dataclasses import replace
from datetime import datetime

from tests.unit.plans_model.test_compared import DIFFERENCE
from tests.unit.plans_model.world import trained


def test_verdicts_of_hospitals_stand_in_the_message_and_decide_nothing() -> None:
    quiet, world = trained("Accepted"), trained("Accepted", hospitals_say=(2, 0, 2, 0))
    assert world.current == quiet.current == 2
    assert world.verdict(2)[:2] == quiet.verdict(2)[:2]
    assert world.verdict(2)[2].endswith(
        "2 hospitals compared this model with version 1 on their own people: 0 found this model better, 2 found it "
        "worse, and 0 could not decide."
    )
    # The verdict of one hospital is no count.
    assert trained("Accepted", hospitals_say=(1, 0, 1, 0)).verdict(2)[2] == quiet.verdict(2)[2]


def message_of_comparison(hospitals: int) -> str:
    """The verdict on version 2, by a comparison with version 1 over so many hospitals."""
    world = trained()
    world.now = datetime.fromisoformat(world.next_start)
    world.settle()
    while not (live := world.rounds[world.created[-1]]).spec.references:
        world.complete(live.metadata.name)
        world.settle()
    world.complete(live.metadata.name)
    assert live.spec.base is not None
    result = world.rounds[live.metadata.name].status.result
    assert result is not None
    difference = replace(
        DIFFERENCE, reference=live.spec.references[0], model=live.spec.base.name, hospitals=hospitals, people=90
    )
    world.end_with(live.metadata.name, replace(result, differences=(difference,)))
    world.run()
    return world.verdict(2)[2]


def test_a_verdict_shows_both_losses_on_the_same_people_and_the_bound() -> None:
    numbers = (
        "On the same people, the log loss of this model is 0.4, and the log loss of version 1 is 0.91. The difference "
        "is 0.01 (95 % interval: above 0 to 0.02). The bound of the gate is about"
    )
    assert numbers in message_of_comparison(hospitals=2)
    # A version has more readers than a round, and this would be the number of one hospital.
    assert "On the same people" not in message_of_comparison(hospitals=1)


def message_of_undecided(unseen: tuple[str, ...], too_few_people: tuple[str, ...]) -> str:
    world = trained()
    world.outcomes, world.unseen, world.too_few_people = ["Undecided"], unseen, too_few_people
    world.run_next()
    return world.verdict(2)[2]


def test_a_verdict_says_which_hospitals_it_did_not_see_and_which_of_them_have_too_few_people() -> None:
    no_numbers = "The comparison has no numbers of these hospitals, which trained the model and"
    small = f"{no_numbers} have fewer than minCell people in a class: site-b."
    absent = f"{no_numbers} did not take part in the comparison, or failed in it: site-a, site-c."
    both = message_of_undecided(("site-a", "site-b", "site-c"), ("site-b",))
    assert both.endswith(f"{small} {absent}")
    assert message_of_undecided(("site-b",), ("site-b",)) == both.removesuffix(f" {absent}")
    assert message_of_undecided(("site-a", "site-c"), ()) == both.replace(f"{small} ", "")


def test_a_verdict_names_a_limited_number_of_hospitals() -> None:
    hospitals = tuple(f"{number:03}".rjust(63, "x") for number in range(100))
    message = message_of_undecided(hospitals, hospitals[:50])
    assert "xx015 and 34 more." in message
    assert message.endswith("xx065 and 34 more.")
    # The API takes 4,096 characters. Two comparisons, and what hospitals say of them, have room too.
    assert len(message) < 3000
