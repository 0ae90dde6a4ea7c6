"""Measures memory and seconds of `prepare` on a large file: `python -m bench.reading --rows 1000000 --columns 500`.

Writes a file of random numbers, with one identifier and one binary target. Then `prepare` reads the file twice, each
time in a process of its own: once as the reading of a Dataset, which only counts, and once for a Train round, which
also writes the view for the training code. In a pod, the view lies in memory and counts against the limit of the
container, so it is printed beside the resident memory of the process. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from wardround.clock import system_random_bytes
from wardround.pod import prepare as preparation
from wardround.pod import reading
from wardround.pod.folders import Folders
from wardround.pod.work import Work
from wardround.wire import outcome
from wardround.wire.assignment import Exchange
from wardround.wire.training import CONTRACT, LiveRounds, RequestedTask, RoundAttempt

IDENTIFIER, TARGET = "patient_id", "target"
FILES = {"CSV": "cases.csv", "Parquet": "cases.parquet"}
WRITTEN_ROWS = 10_000
SEED = 2026
NOW = datetime(2026, 11, 28, tzinfo=UTC)
UID = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=500)
    parser.add_argument("--format", choices=sorted(FILES), default="CSV")
    parser.add_argument("--folder", type=Path, help="where the file is written, and removed at the end")
    parser.add_argument("--only", choices=sorted(WORK), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(_measured(options)))
        return
    with TemporaryDirectory(dir=options.folder) as name:
        options.folder = Path(name)
        raw = Folders(options.folder).raw
        raw.mkdir(parents=True)
        _write(raw / FILES[options.format], options)
        size = (raw / FILES[options.format]).stat().st_size
        print(f"{options.format} of {options.rows:,} rows and {options.columns:,} columns: {size / MIB:,.0f} MiB")
        for work in WORK:
            result = _in_a_process(work, options)
            print(
                f"{work:8} {result['seconds']:7.1f} s   processor {result['processor']:7.1f} s   "
                f"largest resident memory {result['resident']:6.0f} MiB   view {result['view']:6.0f} MiB   "
                f"{result['rows']:,} rows",
                flush=True,
            )


def _in_a_process(work: str, options: argparse.Namespace) -> dict[str, Any]:
    words = [f"--rows={options.rows}", f"--columns={options.columns}", f"--format={options.format}"]
    command = [sys.executable, "-m", "bench.reading", f"--folder={options.folder}", f"--only={work}", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    folders = Folders(options.folder)
    folders.secrets.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    read = WORK[options.only](folders, options)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    view = sum(each.stat().st_size for each in folders.data.glob("*")) if folders.data.exists() else 0
    shutil.rmtree(folders.data, ignore_errors=True)
    return {
        "seconds": seconds,
        "processor": used.ru_utime + used.ru_stime,
        "resident": used.ru_maxrss / 1024,
        "view": view / MIB,
        "rows": read.rows,
    }


def _read(folders: Folders, options: argparse.Namespace) -> outcome.Outcome:
    return reading.read(
        folders,
        reading.Reading(
            dataset_name="large",
            dataset=_dataset(options),
            schema=_schema(options),
            split_fingerprint="",
            min_samples=11,
            min_cell=11,
            max_left_out=Decimal("0.1"),
        ),
        system_random_bytes,
    )


def _train(folders: Folders, options: argparse.Namespace) -> outcome.Outcome:
    request = RequestedTask(
        contract=CONTRACT,
        participant="site-a",
        seed=7,
        round=RoundAttempt("train-1", 1),
        round_uid=UID,
        state_round="",
        base_digest="sha256:" + "b" * 64,
        image_digest="sha256:" + "a" * 64,
        command=("python", "-m", "wardround_trainer"),
        parameters={"epochs": "1"},
        exchange=Exchange(("wardround.input.*",)),
        metrics=("loss",),
        max_samples=options.rows,
        live_rounds=LiveRounds((), (), "2026-11-28T00:00:00Z"),
        threads=1,
        references=(),
        compression="None",
    )
    work = Work(
        request=request,
        task="Train",
        rows="Validation",
        dataset_name="large",
        dataset=_dataset(options),
        schema=_schema(options),
        split_fingerprint="",
        min_samples=11,
        min_cell=11,
        max_left_out=Decimal("0.1"),
        max_evaluations=1,
        tells=False,
    )
    return preparation.prepare(folders, work, NOW, system_random_bytes)


WORK: dict[str, Callable[[Folders, argparse.Namespace], outcome.Outcome]] = {"read": _read, "train": _train}


def _features(columns: int) -> list[str]:
    return [f"feature_{number:04}" for number in range(columns - 2)]


def _schema(options: argparse.Namespace) -> dict[str, Any]:
    bounds = {"minimum": "-100", "maximum": "100"}
    return {
        "fields": [
            *({"name": name, "type": "number", **bounds} for name in _features(options.columns)),
            {"name": TARGET, "type": "integer", "categories": ["0", "1"]},
        ],
        "target": TARGET,
    }


def _dataset(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "path": FILES[options.format],
        "format": options.format,
        "identifier": {"column": IDENTIFIER, "type": "string"},
        "missingValues": ["", "NA"],
        "split": {"validation": "0.15", "test": "0.2"},
    }


def _write(path: Path, options: argparse.Namespace) -> None:
    names = [IDENTIFIER, TARGET, *_features(options.columns)]
    layout = pa.schema([(IDENTIFIER, pa.string()), (TARGET, pa.int64()), *((name, pa.float32()) for name in names[2:])])
    batches = _batches(layout, options)
    if options.format == "Parquet":
        # In one piece, as pandas writes: a row group has up to 2^20 rows.
        pa.parquet.write_table(pa.Table.from_batches(batches, layout), path)
        return
    with pa.csv.CSVWriter(path, layout) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _batches(layout: pa.Schema, options: argparse.Namespace) -> Iterator[pa.RecordBatch]:
    draw = np.random.default_rng(SEED)
    for begin in range(0, options.rows, WRITTEN_ROWS):
        rows = min(WRITTEN_ROWS, options.rows - begin)
        # Five digits after the point, as a laboratory exports.
        values = draw.standard_normal((len(layout) - 2, rows), np.float32).round(5)
        identifiers = pa.array([f"patient-{number:08}" for number in range(begin, begin + rows)])
        target = pa.array((values[0] + draw.standard_normal(rows, np.float32) > 0).astype(np.int64))
        yield pa.record_batch([identifiers, target, *map(pa.array, values)], schema=layout)


if __name__ == "__main__":
    main()
