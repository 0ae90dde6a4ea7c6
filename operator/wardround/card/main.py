"""`wardround predict`: parses arguments, prints one line for each row. The modules beside it decide."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from wardround.card.table import AnswerCounts

SOME_WITHOUT_ANSWER, FAILED = 1, 2
INSTALL = "pip install '.[models]'"
NOT_COMPARED = (
    "Nobody has compared the units of the Dataset's DataSchema with those of the model. To compare them, give the file "
    "of the DataSchema as --schema."
)


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 every row has an answer, 1 some rows have none, 2 there is no answer at all."""
    options = parser().parse_args(argv)
    try:
        return _answer(options.folder, options.file, options.dataset, options.schema, options.hub_fingerprint)
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "pyarrow"):
            raise
        return _failed(f"`predict` needs {error.name}. Run, in a copy of Wardround's repository: {INSTALL}")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="wardround predict",
        description="Computes the answer of a pulled model (a probability) for each row of a file, on this computer. "
        "Contacts no cluster. Exit code 0: every row has an answer. Exit code 1: some rows break the "
        "DataSchema, so they have no answer. Exit code 2: no row has an answer.",
    )
    result.add_argument("folder", type=Path, metavar="FOLDER", help="the model: card.json and model.safetensors")
    result.add_argument("file", type=Path, metavar="FILE.csv", help="the rows, as spec.format of the Dataset says")
    result.add_argument("--dataset", type=Path, required=True, metavar="FILE.yaml", help="the hospital's Dataset")
    result.add_argument(
        "--schema",
        type=Path,
        metavar="FILE.yaml",
        help="the file with the Dataset's DataSchema, with which the command compares the model's columns and units. "
        "Without this option, the command takes the DataSchema from the file of the Dataset, if it stands there",
    )
    result.add_argument(
        "--hub-fingerprint",
        required=True,
        metavar="sha256:..",
        help="the fingerprint of the hub's key. Ask the hub's administrator for it. The command refuses a card that "
        "another hub signed",
    )
    return result


class _Unusable(Exception):
    """A file that the command line names does not hold what it needs."""


def _answer(path: Path, file: Path, manifest: Path, schema_file: Path | None, fingerprint: str) -> int:
    from wardround.card import columns, folder, predict, table
    from wardround.pod.outcome import PodError
    from wardround.tabular.schema import SchemaInvalid

    try:
        spec, schema = _described(manifest, schema_file, file)
        loaded = folder.load(path, fingerprint)
        if schema is not None:
            columns.hold(loaded.card, schema)
        answers = predict.Answers(loaded, spec, file)
        written = table.write(answers, sys.stdout)
    except (_Unusable, folder.FolderRefused, SchemaInvalid) as refusal:
        return _failed(str(refusal))
    except PodError as failure:
        return _failed(f"{failure.reason}: {failure.message}")
    warnings = [f"warning: {each}" for each in (*folder.warnings(path), *answers.distances.notes)]
    uncompared = [] if schema is not None else [NOT_COMPARED]
    for line in (*warnings, *uncompared, *predict.notes(loaded.card, predict.PULL_AGAIN)):
        print(line, file=sys.stderr)
    return _ended(written, file, manifest)


def _ended(written: AnswerCounts, file: Path, manifest: Path) -> int:
    """Says how many rows have no answer. Returns the exit code."""
    rows = written.answered + written.outside
    if not rows:
        return _failed(f"{file} has no rows, so there is no answer. Name a file with a header and at least one row")
    if written.outside:
        print(f"{written.outside} of {rows} rows have no answer. The column named fault says why.", file=sys.stderr)
    if not written.answered:
        return _failed(f"no row has an answer. Correct {file}, or how {manifest} describes it")
    return SOME_WITHOUT_ANSWER if written.outside else 0


def _described(manifest: Path, schema_file: Path | None, file: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The specs of the Dataset and of its DataSchema, if that is given. Raises _Unusable."""
    for each in (manifest, file, *([schema_file] if schema_file else [])):
        if fault := _fault(each):
            raise _Unusable(fault)
    spec = _dataset(manifest)
    if spec is None:
        raise _Unusable(f"{manifest} does not hold exactly one object of kind Dataset. Give the hospital's file")
    schema = _schema(schema_file or manifest, spec.get("schemaName"))
    if schema is None and schema_file is not None:
        raise _Unusable(f"{schema_file} has no DataSchema {spec.get('schemaName')}, which the Dataset names")
    return spec, schema


def _fault(file: Path) -> str:
    """Why this computer cannot read a file; empty if nothing speaks against it."""
    if not os.path.lexists(file):
        return f"there is no file {file}"
    if file.is_dir():
        return f"{file} is a folder. Name a file in it"
    return "" if os.access(file, os.R_OK) else f"you may not read {file}"


def _dataset(manifest: Path) -> dict[str, Any] | None:
    """The spec of the only Dataset of a file that may hold other objects."""
    datasets = _objects(manifest, "Dataset")
    return datasets[0].get("spec") if len(datasets) == 1 and isinstance(datasets[0].get("spec"), dict) else None


def _schema(file: Path, name: Any) -> dict[str, Any] | None:
    """The spec of the DataSchema of this name in a file that may hold other objects."""
    for each in _objects(file, "DataSchema"):
        if isinstance(each.get("metadata"), dict) and each["metadata"].get("name") == name:
            return each["spec"] if isinstance(each.get("spec"), dict) else None
    return None


def _objects(file: Path, kind: str) -> list[dict[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise _Unusable(f"{file} cannot be read as YAML. Correct the file") from None
    return [each for each in documents if isinstance(each, dict) and each.get("kind") == kind]


def _failed(text: str) -> int:
    print(f"error: {text}.", file=sys.stderr)
    return FAILED
