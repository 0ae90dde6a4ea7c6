"""Counts how often `prepare` refuses a file for the scale of its columns: `python -m bench.units`. Asserts nothing.

Two readings of a hospital are drawn from a published table, some thousand times. Files that are in order show false
alarms: the same patients and as many new ones, other patients, a new class of the target, and the patients of another
centre. DRIFT has columns that move with each export. Files with one column in another unit, or with exchanged labels,
show what the rules miss. The tables are those of the benchmark of accuracy, and columns of random numbers with wide
ranges.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench import accuracy_diabetes, accuracy_mixed
from lab import demo_data
from lab.splits import Cases
from wardround.tabular import column_scales, target_signs

Values = npt.NDArray[np.float64]
Draw = np.random.Generator

PEOPLE = (20, 50, 200)
FACTORS = {"1.8": 1.8, "2.2": 2.2046, "2.54": 2.54, "10": 10.0, "18": 18.016, "100": 100.0, "1/10": 0.1}
# Columns whose range moves with each export: by name, the range of a file and of the next one.
DRIFT = {
    "year of the export": ((2026.0, 2026.0), (2027.0, 2027.0)),
    "version of a device": ((4.1, 4.1), (4.2, 4.2)),
    "code 3 to 4": ((3.0, 3.0), (4.0, 4.0)),
    "day of the visit, counted over six years, the next month": ((2190.0, 2220.0), (2221.0, 2251.0)),
    "days of follow-up of a cohort of 60 days, a quarter later": ((30.0, 90.0), (121.0, 181.0)),
}
# The next file has so many more patients than the file before, as a share.
NEW_SHARE = 0.1


@dataclass(frozen=True)
class Table:
    """`values`: of shape (people, columns). `positive`, `centre`: of each person."""

    name: str
    values: Values
    positive: npt.NDArray[np.bool_]
    centre: npt.NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="pairs of readings for each table, kind and size")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = np.random.default_rng(options.seed)
    for name in DRIFT:
        for people in PEOPLE:
            refusals = drifted(name, people, options.repeats, np.random.default_rng(options.seed))
            print(f"drift, {name}, {people} people: refused {refusals} of {options.repeats} files", flush=True)
    for table in tables(draw):
        columns = table.values.shape[1]
        for people in PEOPLE:
            alarms: dict[str, list[int]] = {}
            for _ in range(options.repeats):
                for kind, before, now in pairs(table, people, draw):
                    alarms.setdefault(kind, []).append(refused(before, now))
            for kind, counts in alarms.items():
                files, wrong = np.count_nonzero(counts), sum(counts)
                print(
                    f"{table.name}, {people} people, {kind}: refused {files} of {len(counts)} files, "
                    f"{wrong} of {len(counts) * columns} columns",
                    flush=True,
                )
            for kind in ("exchanged labels", "the same labels"):
                turns = sum(turned(table, people, kind == "exchanged labels", draw) for _ in range(options.repeats))
                print(f"{table.name}, {people} people, {kind}: noticed {turns} of {options.repeats} files", flush=True)
            for name, factor in FACTORS.items():
                seen = [noticed(table, people, factor, draw) for _ in range(max(1, options.repeats // 10))]
                rate = f"noticed {sum(seen)} of {len(seen) * columns} columns"
                print(f"{table.name}, {people} people, factor {name}: {rate}", flush=True)


def tables(draw: Draw) -> Iterator[Table]:
    made = demo_data.tables()
    faulty = {(name, row) for name, faults in demo_data.BLEMISHES.items() for row, *_ in faults}
    rows = [row for name in made for place, row in enumerate(made[name][1]) if (name, place) not in faulty]
    wisconsin = Cases(made["site-a"][0], rows, np.array([row[1] == "1" for row in rows]))
    yield Table("wisconsin", wisconsin.values, wisconsin.malignant, np.full(len(rows), "one"))
    diabetes = accuracy_diabetes.cases()
    numbers = [place for place, name in enumerate(accuracy_diabetes.FEATURES) if name != "sex"]
    yield Table("diabetes", diabetes.values[:, numbers], diabetes.malignant, np.full(len(diabetes.rows), "one"))
    mixed, centres = accuracy_mixed.cases(accuracy_mixed.published())
    # The first two features are categories.
    yield Table("mixed", mixed.values[:, 2:], mixed.malignant, centres)
    yield Table("wide", wide(draw), draw.random(2000) < 0.1, np.full(2000, "one"))


def wide(draw: Draw) -> Values:
    """20 columns of 2,000 people: logarithms with standard deviations of 1 and 1.5, and counts that are mostly 0."""
    skewed = [draw.lognormal(0.0, sd, (2000, 8)) for sd in (1.0, 1.5)]
    counts = draw.negative_binomial(0.5, 0.1, (2000, 4)).astype(np.float64)
    return np.column_stack([*skewed, counts])


def pairs(table: Table, people: int, draw: Draw) -> Iterator[tuple[str, Values, Values]]:
    """Two readings of a hospital that are in order, of each kind."""
    everybody = np.arange(len(table.values))
    first, others = drawn(everybody, people, draw), drawn(everybody, people, draw)
    yield "as many new patients", table.values[first], table.values[np.concatenate([first, others])]
    yield "other patients", table.values[first], table.values[others]
    for truth in (False, True):
        one, other = (drawn(np.flatnonzero(table.positive == each), people, draw) for each in (truth, not truth))
        yield "as many of a new class", table.values[one], table.values[np.concatenate([one, other])]
    centres = np.unique(table.centre)
    if len(centres) > 1:
        one, other = (
            drawn(np.flatnonzero(table.centre == each), people, draw) for each in draw.choice(centres, 2, replace=False)
        )
        yield "as many of another centre", table.values[one], table.values[np.concatenate([one, other])]
        yield "only patients of another centre", table.values[one], table.values[other]


def drawn(chosen: npt.NDArray[np.int64], people: int, draw: Draw) -> npt.NDArray[np.int64]:
    """With replacement, so that the tables may be smaller than two files."""
    return draw.choice(chosen, people)


def refused(before: Values, now: Values) -> int:
    """The number of columns for which the second file is refused."""
    scales = (
        (column_scales.measured(one), column_scales.measured(other)) for one, other in zip(before.T, now.T, strict=True)
    )
    return sum(one is not None and other is not None and column_scales.changed(one, other) for one, other in scales)


def drifted(name: str, people: int, repeats: int, draw: Draw) -> int:
    """The number of files that are refused for a column of DRIFT."""
    former, later = DRIFT[name]
    return sum(refused(draw.uniform(*former, (people, 1)), draw.uniform(*later, (people, 1))) for _ in range(repeats))


def noticed(table: Table, people: int, factor: float, draw: Draw) -> int:
    """The number of columns whose other unit shows, each alone."""
    everybody = np.arange(len(table.values))
    first = drawn(everybody, people, draw)
    later = np.concatenate([first, drawn(everybody, round(people * NEW_SHARE), draw)])
    return refused(table.values[first], table.values[later] * factor)


def turned(table: Table, people: int, exchanged: bool, draw: Draw) -> bool:
    """Whether a second file looks as if the labels were exchanged. Both files have other shares of the classes."""
    signs = []
    for flip in (False, exchanged):
        positive = round(people * draw.uniform(0.1, 0.9))
        numbers = {True: positive, False: people - positive}
        chosen = np.concatenate(
            [drawn(np.flatnonzero(table.positive == each), number, draw) for each, number in numbers.items()]
        )
        columns = {f"x{place}": column for place, column in enumerate(table.values[chosen].T)}
        columns["target"] = (table.positive[chosen] != flip).astype(np.float64)
        signs.append(target_signs.measured(columns, "target"))
    return target_signs.turned(*signs)


if __name__ == "__main__":
    main()
