"""Decides which tensors of a model are frozen: training must return them unchanged (docs/contracts.md, section 5)."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

# The built-in trainer standardises its inputs with these tensors and never trains them. An author may not open them:
# one hospital could then choose a threshold of the combined model, and read a row of another hospital from updates.
ALWAYS_FROZEN = ("wardround.input.*",)


def is_frozen(name: str, patterns: Sequence[str]) -> bool:
    """Whether a tensor is frozen in a Train round. `patterns`: `exchange.frozen` of the round."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*ALWAYS_FROZEN, *patterns))
