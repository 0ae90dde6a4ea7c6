"""Builds HTML and SVG: all texts and attributes are escaped, unless this module has made them. Knows no report."""

import html
from collections.abc import Iterable, Mapping


class Markup(str):
    """Text that is markup already. Only this module makes it from other text."""

    __slots__ = ()


def tag(name: str, attributes: Mapping[str, object] | None = None, *children: str) -> Markup:
    """An element. Children that are not Markup are escaped. An element without children closes itself only if HTML
    lets it, so that the page is well-formed as HTML and as XML."""
    written = "".join(f' {key}="{html.escape(str(value))}"' for key, value in (attributes or {}).items())
    if name in _VOID or (name in _SHAPES and not children):
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Several pieces as one. Those that are not Markup are escaped."""
    return Markup("".join(each if isinstance(each, Markup) else html.escape(each) for each in children))


def trusted(text: str) -> Markup:
    """Text of this program that is markup: a style sheet, never a text of an object."""
    return Markup(text)


_VOID = frozenset({"meta"})
_SHAPES = frozenset({"circle", "line", "path", "polygon", "polyline", "rect"})
