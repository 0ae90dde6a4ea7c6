"""The text of allowed parameters in the environment of `prepare`. tests/integration compares it with Helm's text."""

from __future__ import annotations

import pytest

from wardround.api import parameters_text
from wardround.api.site import DEFAULT_PARAMETERS, AllowedParameter

ALLOWED = (
    AllowedParameter(name="model", enum=("mlp", "logistic")),
    AllowedParameter(name="batchSize", minimum="16"),
    AllowedParameter(name="epochs", maximum="1e3", minimum="0"),
    AllowedParameter(name="hidden"),
    AllowedParameter(name="rate", maximum="1", required=True),
)
TEXT = (
    '{"batchSize":{"minimum":"16"},"epochs":{"maximum":"1e3","minimum":"0"},'
    '"hidden":{},"model":{"enum":["logistic","mlp"]},"rate":{"maximum":"1","required":true}}'
)


@pytest.mark.parametrize("allowed", [ALLOWED, tuple(reversed(ALLOWED))])
def test_the_text_does_not_depend_on_the_order_of_parameters(allowed: tuple[AllowedParameter, ...]) -> None:
    assert parameters_text.dump(allowed) == TEXT


def test_no_allowed_parameters_are_an_empty_object() -> None:
    assert parameters_text.dump(()) == "{}"
    assert parameters_text.load("{}") == ()


def test_characters_are_escaped_as_go_does_for_helm() -> None:
    odd = AllowedParameter(name="<\u2028", enum=("\b\f\n\r\t\v\0\x1f\x7f", '"\\', "&>\u2029", "$ é \u0085 \U0001f9ec"))
    assert parameters_text.dump([odd]) == (
        '{"\\u003c\\u2028":{"enum":["\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7f","\\"\\\\",'
        '"$ é \u0085 \U0001f9ec","\\u0026\\u003e\\u2029"]}}'
    )


@pytest.mark.parametrize("allowed", [ALLOWED, DEFAULT_PARAMETERS])
def test_dumped_parameters_load_to_equal_parameters(allowed: tuple[AllowedParameter, ...]) -> None:
    parsed = {each.name: each for each in parameters_text.load(parameters_text.dump(allowed))}
    assert parsed.keys() == {each.name for each in allowed}
    for each in allowed:
        assert (parsed[each.name].minimum, parsed[each.name].maximum) == (each.minimum, each.maximum)
        assert parsed[each.name].required == each.required
        assert set(parsed[each.name].enum or ()) == set(each.enum or ())
        assert (parsed[each.name].enum is None) == (each.enum is None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "1", "{", '""', '{"epochs":null}', '{"epochs":[]}', '{"epochs":"1"}', "{} "),
        *(
            '{"epochs":{"minimum":1}}',
            '{"epochs":{"minimum":null}}',
            '{"model":{"enum":"mlp"}}',
            '{"model":{"enum":null}}',
        ),
        '{"epochs":{"required":false}}',
        *('{"epochs":{"least":"1"}}', '{"epochs":{"name":"steps"}}', '{"epochs":{"minimum":"1","minimum":"0"}}'),
        *('{"b":{},"a":{}}', '{"a":{},"a":{"minimum":"1"}}', '{"a":{"enum":["b","a"]}}', '{"a": {}}', '{"\\ud800":{}}'),
    ],
)
def test_text_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parameters_text.load(text)
