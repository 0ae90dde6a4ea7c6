"""The difference of two JSON values as a JSON merge patch (RFC 7386). Pure."""

from collections.abc import Mapping


def merge_patch(before: object, after: object) -> object:
    """The merge patch that turns `before` into `after`; {} if they are equal."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return {} if before == after else after
    change: dict[str, object] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            change[key] = value
        elif before[key] != value:
            change[key] = merge_patch(before[key], value)
    return change
