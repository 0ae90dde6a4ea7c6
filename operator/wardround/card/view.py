"""Prepares the rows of a Prediction for the code of its model: features alone, without identifiers or target.

The only container that mounts the rows. The code mounts no claim, so it finds the model in a copy. `merge` beside this
module makes the answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from wardround import durable
from wardround.api import parameters_text, variable_text
from wardround.api.site import AllowedParameter
from wardround.card import code, columns, folder, predict, volumes
from wardround.card.code import NamedCode
from wardround.card.predict import Batch
from wardround.card.volumes import Folders, PredictionRequest
from wardround.pod import folders as pod_folders
from wardround.pod import view_file
from wardround.pod.outcome import PodError
from wardround.tabular.schema import Schema
from wardround.wire import card as cards
from wardround.wire import codec
from wardround.wire import prediction as wire
from wardround.wire.assignment import IMAGE, LABEL, WORD, Exchange
from wardround.wire.card import ModelCard
from wardround.wire.prediction import PreparedPrediction
from wardround.wire.training import CONTRACT, DatasetView, RoundAttempt, TrainingTask

REPORT, ROWS = "prediction.json", "rows.jsonl"
# The code computes with one thread, so that a row's probability depends on no setting.
THREADS = 1


@dataclass(frozen=True)
class CodeTerms:
    """What the Prediction and the Site say of the code. `participant`: the hospital's name at the hub."""

    code: NamedCode
    allowed: Sequence[AllowedParameter]
    participant: str


def main(argv: Sequence[str]) -> int:
    def body() -> None:
        view(
            Folders.from_environment(),
            pod_folders.Folders.from_environment(),
            volumes.read(os.environ),
            read(),
        )

    return volumes.main("view", body)


def read() -> CodeTerms:
    """Raises PodError (PodFailed)."""
    return CodeTerms(
        NamedCode(
            volumes.variable(os.environ, wire.IMAGE, lambda text: text if text and IMAGE.matches(text) else None),
            volumes.variable(os.environ, wire.COMMAND, _words),
        ),
        volumes.variable(os.environ, wire.PARAMETERS, parameters_text.load),
        volumes.variable(os.environ, wire.PARTICIPANT, lambda text: text if LABEL.matches(text) else None),
    )


def _words(text: str) -> tuple[str, ...] | None:
    words = variable_text.load(text).get("words")
    if not isinstance(words, list) or not words:
        return None
    return tuple(words) if all(isinstance(each, str) and WORD.matches(each) for each in words) else None


def view(places: Folders, pod: pod_folders.Folders, asked: PredictionRequest, named: CodeTerms) -> None:
    """Writes the view, task.json, the copy of the model, and the private report.

    Raises PredictionRefused, and PodError (ColumnMissing, DataUnreadable, DataReplaced, ParametersNotAllowed,
    PodFailed).
    """
    version = volumes.version_of(places, asked)
    rows = volumes.rows_file(places, asked)
    home = places.models / asked.model / version
    with volumes.refusals():
        card = folder.load_card(home, asked.fingerprint)
        code.hold(card, named.code, named.allowed)
        columns.hold(card, asked.schema)
        predict.Rules.named_by(card)
        table = predict.inputs(card, home, asked.dataset)
        _copy_model(home, card, pod.base)
        answered = _write_rows(pod, predict.batches(table, asked.dataset, rows), table)
    features = tuple(each.name for each in table.features)
    _write(pod.task_file, codec.write_document(task(card, named.participant, features, answered)))
    report = PreparedPrediction(version=version, answered=answered, card=cards.write(card))
    _write(pod.private / REPORT, codec.write_document(report))


def task(card: ModelCard, participant: str, features: tuple[str, ...], rows: int) -> TrainingTask:
    """task.json: what the code finds in an evaluation of this model, but for the things of a round."""
    assert card.data_schema is not None, "its features are known"
    return TrainingTask(
        contract=CONTRACT,
        task="Evaluate",
        participant=participant,
        # Code that predicts draws nothing.
        seed=0,
        order_seed=0,
        round=RoundAttempt(card.round_name, 1),
        state_round="",
        base_digest=card.model.digest,
        parameters=card.code.parameters,
        exchange=Exchange(frozen=()),
        dataset=DatasetView(card.data_schema, features, rows),
        metrics=(),
        threads=THREADS,
    )


def _copy_model(home: Path, card: ModelCard, base: Path) -> None:
    try:
        base.mkdir(parents=True, exist_ok=True)
        folder.copy_model(home, card, base / folder.MODEL_FILE)
    except OSError as error:
        raise PodError("PodFailed", f"the pod cannot hold a copy of the model: {error.strerror}") from None


def _write_rows(pod: pod_folders.Folders, batches: Iterable[Batch], table: Schema) -> int:
    """Writes the features for the code, and number, identifier and faults of each row for `merge`. Returns the number
    of rows without a fault."""
    layout = pa.schema([pa.field(each.name, pa.float32(), nullable=False) for each in table.features])
    pod.data.mkdir(parents=True, exist_ok=True)
    pod.private.mkdir(parents=True, exist_ok=True)
    answered = 0
    with (
        view_file.Writer(pod.view_file("evaluation"), layout) as writer,
        (pod.private / ROWS).open("w", encoding="utf-8") as lines,
    ):
        for batch in batches:
            answered += len(batch.inputs)
            columns = [pa.array(batch.inputs[:, place]) for place in range(len(layout))]
            writer.add(pa.record_batch(columns, schema=layout))
            for row in batch.rows:
                print(json.dumps([row.number, row.identifier, row.faults]), file=lines)
    return answered


def _write(path: Path, document: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, document)
