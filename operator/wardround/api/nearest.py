"""Finds the name that a person probably meant. Knows nothing of what the names are of."""

from __future__ import annotations

import difflib
from collections.abc import Collection

NEAR = 0.8  # similarity of two names by difflib: short names that differ in one or two letters


def nearest(word: str, known: Collection[str]) -> str:
    """The name that a person who wrote `word` probably meant, or nothing."""
    near = difflib.get_close_matches(word, sorted(set(known) - {word}), 1, NEAR)
    return near[0] if near else ""
