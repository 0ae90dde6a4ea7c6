"""The document of a report: sections with texts, tables and charts. It knows neither objects of the API nor HTML."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values, in order."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """`numbers`: names of the columns that are aligned to the right. The first column names each row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """A number with its 95 % interval, if it has one. `marked`: whether the chart emphasizes it."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    marked: bool = False

    @property
    def interval(self) -> tuple[float, float] | None:
        return (self.low, self.high) if self.low is not None and self.high is not None else None


@dataclass(frozen=True)
class LineChart:
    """Numbers of rounds, from left to right. `table`: the same numbers for people who do not see the chart."""

    title: str
    description: str
    horizontal: str
    vertical: str
    points: tuple[Point, ...]
    table: Table


@dataclass(frozen=True)
class IntervalChart:
    """Differences, one below the other. The chart shows where zero is."""

    title: str
    description: str
    horizontal: str
    points: tuple[Point, ...]
    table: Table


@dataclass(frozen=True)
class Group:
    """People whose predicted probability is from `low` to `high`, and the share of them that is positive."""

    low: float
    high: float
    observed: float


@dataclass(frozen=True)
class CalibrationChart:
    """`curves`: for each model a name and its groups."""

    title: str
    description: str
    curves: tuple[tuple[str, tuple[Group, ...]], ...]
    table: Table


@dataclass(frozen=True)
class Bar:
    """`seconds`: of each stage, in the order of the chart's stages."""

    label: str
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class BarChart:
    title: str
    description: str
    stages: tuple[str, ...]
    bars: tuple[Bar, ...]
    table: Table


Chart = LineChart | IntervalChart | CalibrationChart | BarChart
Block = Paragraph | Facts | Table | Chart


@dataclass(frozen=True)
class Section:
    """`name`: of the link to this section."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """`notice`: what a reader has to know before anything else; "" for nothing."""

    title: str
    facts: Facts
    sections: tuple[Section, ...]
    notice: str = ""
