"""A round's parameters against a Site's list; the list that sites have by default against the built-in trainer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from wardround.api.parameter_bounds import first_outside, outside
from wardround.api.site import DEFAULT_PARAMETERS, AllowedParameter
from wardround_trainer import parameters as trainer

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
FREE = AllowedParameter(name="free")
RATE = AllowedParameter(name="rate", minimum="0.001", maximum="1")
WORD = AllowedParameter(name="word", enum=("SGD", "Adam"))
ALLOWED = (FREE, RATE, WORD)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"free": "", "word": "SGD"},
        {"free": "import os"},
        *({"rate": value} for value in ("0.001", "1", "1.000", "1e0", "1E-3", "10e-2")),
    ],
)
def test_a_site_allows_listed_parameters_within_their_bounds(parameters: dict[str, str]) -> None:
    assert outside("Train", parameters, ALLOWED) == ()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"other": "1"}, '"other": "1", which is not listed'),
        ({"Rate": "1"}, '"Rate": "1", which is not listed'),
        ({"rate ": "1"}, '"rate ": "1", which is not listed'),
        ({"rate": "0"}, '"rate": "0", which is below the minimum "0.001"'),
        ({"rate": "-1"}, "minimum"),
        # A float would round both onto the bound.
        ({"rate": "0.00099999999999999999999999"}, "minimum"),
        ({"rate": "1.00000000000000000000000001"}, 'above the maximum "1"'),
        ({"rate": "1e99"}, "maximum"),
        ({"word": "adam"}, '"word": "adam", which is none of ["SGD", "Adam"]'),
        ({"word": " Adam"}, "which is none of"),
        ({"word": ""}, "which is none of"),
    ],
)
def test_a_refused_parameter_is_named_with_its_value_and_bound(parameters: dict[str, str], expected: str) -> None:
    [message] = outside("Train", parameters, ALLOWED)
    assert expected in message


def test_a_train_round_has_to_set_each_required_parameter() -> None:
    demanded = [dataclasses.replace(RATE, required=True), dataclasses.replace(FREE, required=True), WORD]
    assert outside("Train", {"rate": "1", "free": "x"}, demanded) == ()
    assert outside("Train", {"rate": "1"}, demanded) == ('"free", which a Train round must set',)
    assert outside("Train", {"free": "x"}, demanded) == ('"rate", which a Train round must set',)
    assert outside("Train", {"word": "no"}, demanded) == (
        '"word": "no", which is none of ["SGD", "Adam"]',
        '"free", which a Train round must set',
        '"rate", which a Train round must set',
    )
    # A measurement trains nothing, and a sum reads no parameter.
    assert outside("Evaluate", {}, demanded) == outside("Statistics", {}, demanded) == ()


INVISIBLE = [
    *("", " ", "\t\n", "\u00a0", "\u200b", "\u2800", "\ue000", "\U00013441", "\U0001d159", "\U0001da7f"),
    # Letters, marks and tags that Unicode lets programs ignore.
    *("\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u180b", "\u180e", "\u180f"),
    *("\u2060", "\u2065", "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff0"),
    *("\U0001bca0", "\U0001d173", "\U000e0020", "\U000e0100", "\U000e01ef", "\U000e0fff", "\u3164\u3164 \u115f"),
    # Marks without a letter, of which some show nothing (the filler of the Khitan script), and an unassigned character.
    *("\U00016fe4", "\u0301", "\u20dd", "\u0378", "\U00016fe4\u0301 \ufe0f"),
]


@pytest.mark.parametrize("value", INVISIBLE, ids=ascii)
def test_a_value_that_nobody_sees_does_not_set_a_required_parameter(value: str) -> None:
    """Training code may take its own value instead, as if the round set none."""
    demanded = dataclasses.replace(FREE, required=True)
    [message] = outside("Train", {"free": value}, [demanded])
    assert message.endswith(", which a Train round must set to a value with at least one visible character")
    assert message.isascii()
    assert outside("Train", {"free": f"{value}x"}, [demanded]) == ()
    assert outside("Train", {"free": value}, [FREE]) == outside("Evaluate", {"free": value}, [demanded]) == ()


@pytest.mark.parametrize("value", ["0", "é", "ㅎ", "ᅡ", "\u2801", "e\u0301", "字", "🙂"])
def test_a_value_in_any_script_sets_a_required_parameter(value: str) -> None:
    assert outside("Train", {"free": value}, [dataclasses.replace(FREE, required=True)]) == ()


def test_the_name_of_a_missing_parameter_stays_at_the_hospital() -> None:
    demanded = [dataclasses.replace(RATE, required=True)]
    assert first_outside("Train", {}, demanded) == ("", "")


def test_a_misspelt_parameter_gets_the_listed_name_that_was_meant() -> None:
    """The round's author reads the bound on the hub. A name that nobody has nearly written stays at the hospital."""
    listed = [AllowedParameter(name="learningRate", maximum="1"), AllowedParameter(name="batchSize")]
    [message] = outside("Train", {"learningrate": "2"}, listed)
    assert message == '"learningrate": "2", which is not listed (the list has "learningRate")'
    assert first_outside("Train", {"learningrate": "2"}, listed) == ("learningrate", "the name learningRate")
    assert first_outside("Train", {"momentum": "1"}, listed) == ("momentum", "")
    assert outside("Train", {"momentum": "1"}, listed) == ('"momentum": "1", which is not listed',)


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "nan", "NaN", "-nan", "sNaN", "inf", "-inf", "Infinity", "1e999", "1e100", "-1e100", "1e-100"),
        *(" 1", "1 ", "1\n", "\t1", "1_0", "+1", ".5", "5.", "01", "0x1", "1,0", "1/2", "1.0.0", "--1", "e1", "1e"),
        *("one", "１", "٣", "1\x00", "\ud800", "9" * 65, "0." + "1" * 1000),
    ],
)
def test_a_value_that_trainers_may_read_differently_is_within_no_bounds(value: str) -> None:
    for least, most in (("-10", None), (None, "10"), ("-10", "10")):
        [message] = outside("Train", {"rate": value}, [AllowedParameter(name="rate", minimum=least, maximum=most)])
        assert "not a plain number" in message
        assert message.isascii()
        assert message.isprintable()


@pytest.mark.parametrize("bound", ["", "nan", "inf", "many", "1e999"])
def test_nothing_is_within_a_bound_that_is_no_number(bound: str) -> None:
    """The API server takes no such bound; what it held before its kind was upgraded is read here too."""
    assert outside("Train", {"rate": "1"}, [AllowedParameter(name="rate", minimum=bound)])
    assert outside("Train", {"rate": "1"}, [AllowedParameter(name="rate", maximum=bound)])


def test_bounds_and_enum_hold_together_and_an_empty_enum_allows_nothing() -> None:
    both = AllowedParameter(name="rate", minimum="1", enum=("0", "1"))
    assert outside("Train", {"rate": "1"}, [both]) == ()
    assert outside("Train", {"rate": "0"}, [both])
    assert outside("Train", {"rate": "2"}, [both])
    assert outside("Train", {"rate": "1"}, [AllowedParameter(name="rate", enum=())])


def test_a_site_that_lists_nothing_takes_rounds_without_parameters_alone() -> None:
    assert outside("Train", {}, ()) == ()
    assert len(outside("Train", {"a": "1", "b": "2"}, ())) == 2


def test_statistics_are_computed_by_code_that_takes_none() -> None:
    assert outside("Statistics", {"a": "1"}, ()) == ()


def test_the_message_about_a_parameter_that_is_no_string_says_so() -> None:
    [message] = outside("Train", {"free": 1}, ALLOWED)
    assert message == '"free": 1, which is not a string, as every parameter must be'


def test_a_hubs_texts_are_cut_and_cannot_steer_a_terminal() -> None:
    [message] = outside("Train", {"\x1b[2J" * 100: "\x1b[2J" * 100}, ALLOWED)
    assert len(message) < 256
    assert message.isprintable()


BY_DEFAULT = {each.name: each for each in DEFAULT_PARAMETERS}


def test_one_step_on_one_row_is_refused_by_default() -> None:
    messages = outside("Train", {"model": "logistic", "steps": "1", "batchSize": "1"}, DEFAULT_PARAMETERS)
    assert [message.partition(":")[0] for message in messages] == ['"batchSize"', '"steps"']
    assert outside("Train", {"steps": "1000"}, DEFAULT_PARAMETERS)
    assert outside("Train", {"batchSize": "15"}, DEFAULT_PARAMETERS)


def test_the_built_in_trainer_knows_every_parameter_that_sites_allow_by_default() -> None:
    assert trainer.READERS.keys() - BY_DEFAULT.keys() == {"steps"}
    assert BY_DEFAULT.keys() <= trainer.READERS.keys()


@pytest.mark.parametrize("name", BY_DEFAULT)
def test_the_trainer_takes_every_bound_and_word_of_the_default(name: str) -> None:
    allowed = BY_DEFAULT[name]
    for value in (allowed.minimum, allowed.maximum, *(allowed.enum or ())):
        if value is not None:
            trainer.parse({name: value, **({"optimizer": "SGD"} if name == "momentum" else {})})


def test_the_trainers_own_defaults_are_within_the_default_bounds() -> None:
    """The site checks only parameters that a round gives. So a hospital has to allow the trainer's own defaults."""
    own: dict[str, Any] = dataclasses.asdict(trainer.Parameters())
    assert own.pop("steps") is None
    assert (own.pop("model"), own.pop("hidden"), own.pop("epochs")) == (None, None, None)
    parameters = {name: str(own[field]) for name, (field, _) in trainer.READERS.items() if field in own}
    parameters |= {"epochs": str(trainer.DEFAULT_EPOCHS), "hidden": ",".join(map(str, trainer.DEFAULT_HIDDEN))}
    assert parameters.keys() == BY_DEFAULT.keys() - {"model"}
    assert outside("Train", parameters, DEFAULT_PARAMETERS) == ()


def test_a_bound_does_not_hold_for_a_parameter_that_the_round_leaves_out() -> None:
    """docs/security.md says so, and names the trainer's defaults: a hub that leaves a parameter out chooses these."""
    narrow = (AllowedParameter(name="hidden", enum=("4",)), AllowedParameter(name="batchSize", maximum="20"))
    assert len(outside("Train", {"batchSize": "32", "hidden": "32,16"}, narrow)) == 2
    assert outside("Train", {}, narrow) == ()
    chosen = trainer.parse({})
    page = " ".join((ROOT / "docs" / "security.md").read_text().split())
    assert "an initial round without `hidden` has layers of {} and {} units".format(*chosen.widths()) in page
    assert f"a round without `batchSize` has batches of at least {chosen.batch_size} rows" in page
    rows = 2 * chosen.batch_size
    assert f"at a hospital with fewer than {rows} training rows, an epoch of such a round has one step" in page
    assert (chosen.batches(rows - 1), chosen.batches(rows)) == (1, 2)


@pytest.mark.parametrize("rows", [64, 101, 1000])
def test_an_epoch_has_two_steps_only_if_a_batch_has_at_most_half_of_the_rows(rows: int) -> None:
    """A `maximum` of batchSize just below the number of rows prevents no epoch of one step."""
    batches = [trainer.parse({"batchSize": str(size)}).batches(rows) for size in (rows // 2, rows // 2 + 1, rows - 1)]
    assert batches == [2, 1, 1]


@pytest.mark.parametrize("file", ["breast-cancer/train.yaml", "one-cluster/rounds.yaml"])
def test_the_rounds_of_the_examples_are_allowed_by_default(file: str) -> None:
    rounds = [each["spec"] for each in yaml.safe_load_all((EXAMPLES / file).read_text())]
    assert any("parameters" in each for each in rounds)
    assert [outside("Train", each.get("parameters", {}), DEFAULT_PARAMETERS) for each in rounds] == [()] * len(rounds)
