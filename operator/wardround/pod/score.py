"""The last container of Evaluate: compares predictions with labels that only it mounts, and publishes only sums.

Researchers' code wrote the predictions, so nothing in them is trusted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wardround.metrics import own_verdicts
from wardround.metrics.estimates import Numbers
from wardround.pod import labels, output, own_metrics, update
from wardround.pod.folders import Folders
from wardround.pod.outcome import log, run
from wardround.tensors import Writer, layout_of
from wardround.wire import codec, layouts, mounts
from wardround.wire.outcome import Outcome, OwnOutcome
from wardround.wire.training import PrivateReport


def score(folders: Folders) -> Outcome | None:
    """Reads out/predictions.f64, that of each reference, and private/labels.i64; writes update/. Returns the hospital's
    own numbers. Raises PodError.
    """
    report = codec.read_document(PrivateReport, folders.report_file.read_bytes(), folders.report_file.name)
    if report.withheld:
        # The predictions are not even read: their faults would reveal something about these patients.
        log(
            f"score: fewer than {report.min_cell} patients are in the {report.rows} rows or in one class of them, so "
            "no number leaves this hospital"
        )
        shapes = layouts.evaluation(report.references)
        _publish(folders, report, {name: np.zeros(shape) for name, shape in shapes.items()})
        verdicts = _verdicts(report, None)
        return Outcome(verdicts=verdicts) if verdicts else None
    rows = len(labels.read(folders.labels_file).labels)
    references = [folders.reference_out(name) for name in mounts.REFERENCES[: report.references]]
    for folder in (folders.out, *references):
        output.inspect(folder, output.ROW_BYTES * rows + output.OTHER_FILES)
    numbers = labels.count(folders, output.PREDICTIONS, references)
    _publish(folders, report, {**numbers, "salt": update.salt_tensor(report.salt)})
    differences = own_metrics.differences(numbers, report.references, report.min_cell, report.rows)
    metrics = (*own_metrics.computed(numbers, report.min_cell, report.rows), *differences)
    return Outcome(metrics=metrics, verdicts=_verdicts(report, numbers))


def _verdicts(report: PrivateReport, numbers: Numbers | None) -> tuple[OwnOutcome, ...] | None:
    """The hospital's own verdict on each reference. Only on validation rows, as the gate's: test rows choose no model.

    `numbers`: None if they are withheld.
    """
    if report.rows != "Validation" or not report.references:
        return None
    if numbers is None:
        return own_verdicts.too_few(report.references)
    return own_verdicts.decide(numbers, report.references, report.min_cell)


def _publish(folders: Folders, report: PrivateReport, numbers: Mapping[str, npt.NDArray[np.float64]]) -> None:
    def fill(writer: Writer) -> update.Summary:
        for tensor in writer.layout.tensors:
            writer.write(numbers[tensor.name])
        return update.Summary(report.samples, report.base_digest, report.min_cell, report.tells, report.withheld)

    update.publish(folders.update, layout_of(layouts.evaluation(report.references)).tensors, fill)


def main(argv: Sequence[str]) -> int:
    return run("score", lambda: score(Folders.from_environment()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
