"""Makes the answer of a Prediction from the rows that `view` kept and the probabilities that the model's code wrote.

Researchers' code wrote the probabilities, so nothing in them is trusted: one finite number from 0 to 1 for each row.
Nothing else of that code reaches the answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from wardround.card import predict, table, volumes
from wardround.card.predict import Row, Rules
from wardround.card.view import REPORT, ROWS
from wardround.card.volumes import Folders
from wardround.pod import folders as pod_folders
from wardround.pod import output
from wardround.wire import card as cards
from wardround.wire import codec
from wardround.wire import prediction as wire
from wardround.wire.outcome import Outcome, Predicted
from wardround.wire.prediction import PreparedPrediction

NOT_COMPARED = (
    "Nobody has compared the rows with those that trained the model, because the model's own code has answered. "
    "Compare the units of the file with the card (fields in card.json) yourself."
)


def main(argv: Sequence[str]) -> int:
    def body() -> Outcome:
        pod = pod_folders.Folders.from_environment()
        uid = volumes.variable(os.environ, wire.UID, volumes.known_uid)
        path = volumes.variable(os.environ, wire.ANSWER_PATH, lambda text: text or None)
        return Outcome(prediction=merge(Folders.from_environment(), pod, uid, path))

    return volumes.main("merge", body)


def merge(places: Folders, pod: pod_folders.Folders, uid: str, path: str) -> Predicted:
    """Writes the file. `uid`: of the Prediction. `path`: of the answer on its claim.

    Raises PredictionRefused, and PodError (OutputMissing, OutputLink, OutputTooLarge, PredictionsInvalid, NotFinite).
    """
    report = codec.read_document(PreparedPrediction, (pod.private / REPORT).read_bytes(), REPORT)
    card = cards.read(report.card)
    target = volumes.inside(places.answers, path, "answer")
    output.inspect(pod.out, output.ROW_BYTES * report.answered + output.OTHER_FILES)
    probabilities = output.read_probabilities(pod.out, output.PREDICTIONS, report.answered).tolist()
    with volumes.refusals(), volumes.whole(target, uid, path) as file:
        answers = Rules.named_by(card).answers(_rows(pod.private / ROWS), probabilities)
        written = table.write(answers, file)
    return Predicted(
        version=report.version,
        digest=card.model.digest,
        answered=written.answered,
        outside=written.outside,
        notes=(*predict.notes(card, predict.DELIVER_AGAIN), NOT_COMPARED),
    )


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            number, identifier, faults = json.loads(line)
            yield Row(number, identifier, tuple(faults))
