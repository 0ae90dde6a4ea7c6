"""Merge patches say what changed and nothing else, so that a quiet object is not written and others' fields stay."""

from __future__ import annotations

import pytest

from wardround.kube.patch import merge_patch


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({"a": {"b": {"c": 1}}, "d": 1}, {"a": {"b": {"c": 1}}, "d": 2}, {"d": 2}),
    ],
)
def test_a_patch_is_the_difference(before: object, after: object, change: object) -> None:
    assert merge_patch(before, after) == change
