"""Draws the charts of a report as SVG. Each has a title and a description for people who do not see it. Pure."""

import itertools
import math
from collections.abc import Sequence

from wardround.cli.report.document import BarChart, CalibrationChart, Chart, Group, IntervalChart, LineChart, Point
from wardround.cli.report.markup import Markup, tag

WIDTH = 680
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 16, 48
LINE_HEIGHT = 280
MOST_LABELS = 12
MOST_MARKS = 40
SQUARE = 340
ROW, BAR = 44, 24
LABELS = 215
# From markers to text.
GAP = 6


def has_numbers(chart: Chart) -> bool:
    """Whether there is anything to draw. Texts that are no numbers stand only in the chart's table."""
    match chart:
        case CalibrationChart():
            return any(groups for _, groups in chart.curves)
        case BarChart():
            return bool(chart.bars)
        case _:
            return bool(chart.points)


def draw(chart: Chart, name: str) -> Markup:
    """`name`: an identifier that no other chart of the page has."""
    match chart:
        case LineChart():
            height, drawn = LINE_HEIGHT, _lines(chart)
        case IntervalChart():
            height, drawn = TOP + ROW * len(chart.points) + BOTTOM, _intervals(chart)
        case CalibrationChart():
            height, drawn = SQUARE + BOTTOM + TOP, _calibration(chart)
        case BarChart():
            height, drawn = TOP + BAR * len(chart.bars) + BOTTOM, _bars(chart)
    return tag(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {height}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-text",
        },
        tag("title", {"id": f"{name}-title"}, chart.title),
        tag("desc", {"id": f"{name}-text"}, chart.description),
        *drawn,
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most so many."""
    exact = (high - low) / most
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= exact * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [each * step for each in range(first, last + 1)]


def padded(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest of the numbers, with some room."""
    low, high = min(values), max(values)
    room = (high - low) * 0.06
    if room <= abs(low) * 1e-6:
        room = abs(low) * 0.1 or 1.0
    return low - room, high + room


class _Scale:
    """Maps numbers from `low` to `high` to places from `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)


def _lines(chart: LineChart) -> list[Markup]:
    bottom = LINE_HEIGHT - BOTTOM
    vertical = _Scale(*padded(_all_values(chart.points)), bottom, TOP)
    step = (WIDTH - LEFT - RIGHT) / len(chart.points)
    placed = [(LEFT + step * (index + 0.5), point) for index, point in enumerate(chart.points)]
    every = math.ceil(len(placed) / MOST_LABELS)
    curve = _path([(x, vertical(point.value)) for x, point in placed])
    return [
        *_vertical_axis(vertical, chart.vertical, WIDTH - RIGHT),
        *(_text(x, bottom + 18, point.label, "middle") for x, point in placed[::every]),
        _text((LEFT + WIDTH - RIGHT) / 2, LINE_HEIGHT - 8, chart.horizontal, "middle", "axis"),
        *_band(placed, vertical),
        tag("polyline", {"class": "curve c0", "points": curve}),
        *_marks(placed, vertical),
    ]


def _band(placed: Sequence[tuple[float, Point]], vertical: _Scale) -> list[Markup]:
    """The area of the points' intervals. One interval has no area."""
    intervals = [(x, point.interval) for x, point in placed if point.interval is not None]
    if len(intervals) < 2:
        return []
    upper = [(x, vertical(high)) for x, (_, high) in intervals]
    lower = [(x, vertical(low)) for x, (low, _) in reversed(intervals)]
    return [tag("polygon", {"class": "band", "points": _path([*upper, *lower])})]


def _marks(placed: Sequence[tuple[float, Point]], vertical: _Scale) -> list[Markup]:
    """The band is enough for a long series: many marks would hide the curve, so only emphasized points have one."""
    drawn = []
    for x, point in placed:
        if len(placed) > MOST_MARKS and not point.marked:
            continue
        if point.interval is not None:
            low, high = point.interval
            drawn.append(_line(x, vertical(low), x, vertical(high), "whisker c0"))
        kind, radius = ("mark c0 full", 6) if point.marked else ("mark c0", 4)
        drawn.append(tag("circle", {"class": kind, "cx": _n(x), "cy": _n(vertical(point.value)), "r": radius}))
    return drawn


def _intervals(chart: IntervalChart) -> list[Markup]:
    bottom = TOP + ROW * len(chart.points)
    horizontal = _Scale(*padded([0.0, *_all_values(chart.points)]), RIGHT, WIDTH - RIGHT)
    drawn = _horizontal_axis(horizontal, chart.horizontal, TOP, bottom)
    drawn.append(_line(horizontal(0.0), TOP, horizontal(0.0), bottom, "zero"))
    for index, point in enumerate(chart.points):
        y = TOP + ROW * index + 30
        drawn.append(_text(RIGHT, y - 14, point.label, "start"))
        if point.interval is not None:
            low, high = point.interval
            drawn.append(_line(horizontal(low), y, horizontal(high), y, "whisker wide c0"))
        drawn.append(tag("circle", {"class": "mark c0 full", "cx": _n(horizontal(point.value)), "cy": y, "r": 5}))
    return drawn


def _calibration(chart: CalibrationChart) -> list[Markup]:
    horizontal = _Scale(0.0, 1.0, LEFT, LEFT + SQUARE)
    vertical = _Scale(0.0, 1.0, TOP + SQUARE, TOP)
    drawn = _vertical_axis(vertical, "observed share", LEFT + SQUARE)
    drawn += _horizontal_axis(horizontal, "predicted probability", TOP, TOP + SQUARE)
    drawn.append(_line(LEFT, TOP + SQUARE, LEFT + SQUARE, TOP, "zero"))
    for index, (name, groups) in enumerate(chart.curves):
        colour = f"c{index % 4}"
        for group in groups:
            y = vertical(group.observed)
            drawn.append(_line(horizontal(group.low), y, horizontal(group.high), y, f"whisker {colour}"))
            drawn.append(_marker(horizontal(_middle(group)), y, index))
        place = TOP + 20 + 24 * index
        drawn.append(_marker(LEFT + SQUARE + 24, place - 4, index))
        drawn.append(_text(LEFT + SQUARE + 36, place, name, "start"))
    return drawn


def _marker(x: float, y: float, index: int) -> Markup:
    """Curves differ in colour and in shape."""
    if index % 2 == 0:
        return tag("circle", {"class": f"mark c{index % 4} full", "cx": _n(x), "cy": _n(y), "r": 5})
    return tag("rect", {"class": f"mark c{index % 4}", "x": _n(x - 5), "y": _n(y - 5), "width": 10, "height": 10})


def _bars(chart: BarChart) -> list[Markup]:
    bottom = TOP + BAR * len(chart.bars)
    longest = max(sum(each.seconds) for each in chart.bars) or 1.0
    horizontal = _Scale(0.0, longest * 1.02, LABELS, WIDTH - RIGHT)
    drawn = _horizontal_axis(horizontal, "", TOP, bottom)
    for row, bar in enumerate(chart.bars):
        y, before = TOP + BAR * row, 0.0
        drawn.append(_text(LABELS - GAP, y + 16, bar.label, "end"))
        for index, seconds in enumerate(bar.seconds):
            start, end = horizontal(before), horizontal(before + seconds)
            place = {"x": _n(start), "y": y + 3, "width": _n(end - start), "height": BAR - 6}
            drawn.append(tag("rect", {"class": f"bar c{index % 4}", **place}))
            before += seconds
    x = float(RIGHT)
    for index, name in enumerate(chart.stages):
        drawn.append(
            tag("rect", {"class": f"bar c{index % 4}", "x": _n(x), "y": bottom + 30, "width": 12, "height": 12})
        )
        drawn.append(_text(x + 12 + GAP, bottom + 41, name, "start"))
        x += 40 + 6.8 * len(name)
    return drawn


def _vertical_axis(scale: _Scale, name: str, end: float) -> list[Markup]:
    drawn = []
    for value, text in _with_texts(ticks(scale.low, scale.high)):
        drawn.append(_line(LEFT, scale(value), end, scale(value), "grid"))
        drawn.append(_text(LEFT - GAP, scale(value) + 4, text, "end"))
    middle = (scale(scale.low) + scale(scale.high)) / 2
    turned = {"class": "axis", "transform": f"translate(16 {_n(middle)}) rotate(-90)", "text-anchor": "middle"}
    return [*drawn, tag("text", turned, name)]


def _horizontal_axis(scale: _Scale, name: str, top: float, bottom: float) -> list[Markup]:
    drawn = []
    for value, text in _with_texts(ticks(scale.low, scale.high)):
        drawn.append(_line(scale(value), top, scale(value), bottom, "grid"))
        drawn.append(_text(scale(value), bottom + 18, text, "middle"))
    middle = (scale(scale.low) + scale(scale.high)) / 2
    return [*drawn, *([_text(middle, bottom + 38, name, "middle", "axis")] if name else [])]


def _all_values(points: Sequence[Point]) -> list[float]:
    known = (value for each in points for value in (each.value, each.low, each.high))
    return [value for value in known if value is not None]


def _middle(group: Group) -> float:
    return (group.low + group.high) / 2


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", {"class": kind, "x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)})


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> Markup:
    return tag("text", {"class": kind, "x": _n(x), "y": _n(y), "text-anchor": anchor}, text)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    return f"{value:.1f}"


def _with_texts(values: Sequence[float]) -> list[tuple[float, str]]:
    """Each number with its text. All texts have the same number of decimals."""
    step = min(b - a for a, b in itertools.pairwise(values))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(each, f"{abs(each) if abs(each) < step / 2 else each:.{decimals}f}") for each in values]
