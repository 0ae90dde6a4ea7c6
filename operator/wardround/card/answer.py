"""Answers a Prediction with a model of the built-in trainer, in one container of our own image.

`view` and `merge` answer with the models of other images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from wardround.card import code, columns, folder, predict, table, volumes
from wardround.card.network import NotBuiltIn
from wardround.card.volumes import Folders, PredictionRefused, PredictionRequest
from wardround.wire.outcome import Outcome, Predicted


def main(argv: Sequence[str]) -> int:
    def body() -> Outcome:
        return Outcome(prediction=answer(Folders.from_environment(), volumes.read(os.environ)))

    return volumes.main("answer", body)


def answer(folders: Folders, asked: PredictionRequest) -> Predicted:
    """Writes the file. Raises PredictionRefused, and PodError (ColumnMissing, DataUnreadable, DataReplaced)."""
    version = volumes.version_of(folders, asked)
    rows = volumes.rows_file(folders, asked)
    target = volumes.inside(folders.answers, asked.answer, "answer")
    with volumes.refusals():
        loaded = folder.load(folders.models / asked.model / version, asked.fingerprint)
        columns.hold(loaded.card, asked.schema)
        try:
            answers = predict.Answers(loaded, asked.dataset, rows)
            with volumes.whole(target, asked.uid, asked.answer) as file:
                written = table.write(answers, file)
        except NotBuiltIn as other:
            raise PredictionRefused("CodeNotNamed", code.needed(loaded.card, other)) from None
    return Predicted(
        version=version,
        digest=loaded.card.model.digest,
        answered=written.answered,
        outside=written.outside,
        far_columns=len(answers.distances.columns),
        notes=(*answers.distances.notes, *predict.notes(loaded.card, predict.DELIVER_AGAIN)),
    )
