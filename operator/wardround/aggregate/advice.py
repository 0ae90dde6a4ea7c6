"""The last sentences of messages of an aggregation: what the hub's administrator has to check. Decides nothing."""

from __future__ import annotations

# After contents of the store that have changed.
CHECK_STORE = "So the Job made no result. The hub's administrator has to check who can write to the store."
# After a plan, or a list of updates, that the hub operator and the Job understand differently.
CHECK_IMAGE = (
    "The hub's administrator has to check that the hub operator and this Job run the same image. If they do, this is "
    "an error of Wardround: report it to its developers."
)
