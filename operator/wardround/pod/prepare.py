"""The first container of the training pod: after the isolation gate it turns the raw dataset into this task's view.

Only this container reads the raw dataset. It writes only what the task needs: never an identifier, no test rows for
training, and labels of an evaluation only into the scorer's private folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wardround import durable
from wardround.api.parameter_bounds import outside
from wardround.api.site import AllowedParameter
from wardround.api.times import parse_time
from wardround.clock import RandomBytes, system_clock, system_random_bytes
from wardround.pod import (
    evaluations,
    gate,
    launcher,
    patients_record,
    reading,
    rounds,
    row_order,
    split_key,
    split_record,
)
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError, log, run
from wardround.pod.work import Work, allowed_parameters, reading_from, work_from
from wardround.tabular import dataschema, schema, split
from wardround.wire import codec
from wardround.wire.mounts import REFERENCES
from wardround.wire.outcome import Outcome
from wardround.wire.training import (
    DatasetView,
    LiveRounds,
    PrivateReport,
    RequestedTask,
    TrainingTask,
)

if TYPE_CHECKING:
    from wardround.pod.column_sample import Sample
    from wardround.pod.survey import Counts, Positions

# The newest rounds that are over and keep the state that their training left.
STATES_KEPT = 64


def prepare(folders: Folders, work: Work, now: datetime, random_bytes: RandomBytes) -> Outcome:
    """Validates and splits the rows; writes view, task.json and private report. Returns the termination message.

    Raises PodError (DataUnreadable, DataReplaced, ColumnMissing, TooManyRowsLeftOut, TooFewSamples, SplitKeyLost,
    SplitKeyChanged, SplitChanged, IdentifiersChanged, ColumnsChanged, EvaluationsUsedUp, EvaluationsUnreadable,
    PodFailed).
    """
    # Imported here because Arrow is slow to import, and the gate runs first.
    from wardround.pod import columns_record, survey

    request, dataset = work.request, work.dataset
    key_file = dataset["split"].get("keyFile", "")
    secret = split_key.held(folders, work.dataset_name, key_file, work.split_fingerprint, random_bytes)
    try:
        table = schema.parse(work.schema, dataset)
        sides = split.parse(dataset["split"], secret)
    except schema.SchemaInvalid as error:
        # Both errors quote the two objects, never rows.
        raise PodError("DataUnreadable", str(error)) from None
    except split.SplitInvalid as error:
        raise PodError("DataUnreadable", f"Dataset.spec: {error}") from None
    split_record.hold(folders, work.dataset_name, dataset, sides, random_bytes)
    if work.task == "Evaluate" and not table.binary_target:
        message = (
            f"An Evaluate round cannot use the target {table.target!r}. The DataSchema has to declare it as a boolean, "
            "or as categories 0 and 1. The round's author names a Dataset whose DataSchema has such a target"
        )
        raise PodError("DataUnreadable", message, field=table.target)
    counts = _write_view(folders, reading.raw_file(folders, dataset), table, sides, work)
    read = replace(survey.outcome(counts.whole, work.min_cell), split_fingerprint=split.fingerprint(secret))
    if left_out := survey.too_many_left_out(counts.whole, work.max_left_out, work.min_cell):
        raise PodError("TooManyRowsLeftOut", left_out, counted=read)
    patients_record.hold(folders, work.dataset_name, counts.patients, random_bytes)
    columns_record.hold(folders, work.dataset_name, dataset, table, counts.sample, random_bytes)
    samples = _samples(counts, work, read)
    if work.task == "Evaluate" and not counts.withheld:
        read = _count_evaluation(folders, work, counts, read, now)
    key = row_order.hospital_key(folders.secrets, random_bytes)
    report = PrivateReport(
        task=work.task,
        base_digest=request.base_digest,
        exchange=request.exchange,
        compression=request.compression,
        metrics=request.metrics,
        schema=work.schema,
        samples=samples,
        min_cell=work.min_cell,
        rows=work.rows,
        people=counts.people,
        withheld=counts.withheld,
        tells=work.tells,
        references=len(request.references),
        salt=row_order.salt(key, request, counts.view),
    )
    _write_tasks(folders, work, counts, key)
    _write(folders.report_file, report)
    return replace(read, samples=samples, schema_digest=dataschema.digest(table))


def _write_tasks(folders: Folders, work: Work, counts: _Counts, key: bytes) -> None:
    """task.json for each container with researchers' code."""
    request = work.request
    task = _training_task(work, request, counts, key)
    _write(folders.task_file, task)
    if work.task == "Train" and not request.base_digest:
        _write(folders.init_task_file, task.for_initial_weights())
    for name, each in zip(REFERENCES, request.references, strict=False):
        _write(folders.reference_task_file(name), _training_task(work, request.reference(each), counts, key))


def _training_task(work: Work, request: RequestedTask, counts: _Counts, key: bytes) -> TrainingTask:
    """The task for the code of one model. `request`: the round's, or the same with a reference as its model."""
    return TrainingTask(
        contract=request.contract,
        task=work.task,
        participant=request.participant,
        seed=request.seed,
        order_seed=row_order.seed(key, request, counts.view),
        round=request.round,
        state_round=request.state_round,
        base_digest=request.base_digest,
        parameters=request.parameters,
        exchange=request.exchange,
        dataset=DatasetView(work.schema, counts.features, counts.view_rows),
        metrics=request.metrics,
        threads=request.threads,
    )


def _samples(counts: _Counts, work: Work, read: Outcome) -> int:
    """The weight that the update claims. Raises PodError (TooFewSamples).

    An evaluation of too few patients does not fail: its update is withheld, and has no samples.
    """
    from wardround.pod import survey

    evaluate = work.task == "Evaluate"
    if evaluate and counts.withheld:
        log(
            f"prepare: too few patients are in the {work.rows} rows or in one class of them, so this pod evaluates no "
            "model"
        )
        return 0
    samples = min(counts.view_rows, counts.view_patients, work.request.max_samples)
    needed = max(1, work.min_samples, work.min_cell)
    side = _scored(work) if evaluate else "train"
    if too_few := survey.too_few_samples(counts.whole, side, samples, needed):
        raise PodError("TooFewSamples", too_few, counted=read)
    return samples


def _count_evaluation(folders: Folders, work: Work, counts: _Counts, read: Outcome, now: datetime) -> Outcome:
    """Counts an evaluation before the pod goes on. Returns the message of `read` with what is left.

    Raises PodError (EvaluationsUsedUp, EvaluationsUnreadable, PodFailed).
    """
    asked = evaluations.work_digest(work.request, counts.view, counts.labels)
    models = len(work.request.models)
    left, used_up = evaluations.hold(
        folders.secrets, work.dataset_name, work.rows, asked, models, work.max_evaluations, now
    )
    read = replace(read, evaluations=left)
    if used_up:
        raise PodError("EvaluationsUsedUp", used_up, counted=read)
    return read


def _scored(work: Work) -> split.Side:
    """The side of the split over which the model's metrics are computed."""
    return "test" if work.task == "Evaluate" and work.rows == "Test" else "validation"


@dataclass(frozen=True)
class _Counts:
    """`whole`: of the whole file. `patients`: positions of all patients of the file. `sample`: of the rows of the file.
    `view_rows`, `view_patients`: of the rows that train or are evaluated. `people`: patients in the rows over which
    metrics are computed. `view`: digest of the rows that the researchers' image sees. `labels`: digest of the labels
    and patients over which metrics are computed. `features`: the inputs in the view.
    """

    whole: Counts
    patients: Positions
    sample: Sample
    view_rows: int
    view_patients: int
    people: int
    withheld: bool
    view: str
    labels: str
    features: tuple[str, ...]


def _write_view(folders: Folders, path: Path, table: schema.Schema, sides: split.Split, work: Work) -> _Counts:
    from wardround.pod import dataset, labels, survey, view
    from wardround.pod.column_sample import Sample

    evaluate, scored = work.task == "Evaluate", _scored(work)
    parts = view.evaluation_parts(folders, table, scored) if evaluate else view.training_parts(folders, table)
    read, sample = survey.Survey(table, sides), Sample()
    bucket = labels.Bucket(table.binary_target)
    folders.data.mkdir(parents=True, exist_ok=True)
    with view.written(parts, counted=scored if evaluate else "train") as shown:
        for batch in dataset.read(path, work.dataset["format"], table, read.reading):
            positions = read.add(batch)
            sample.add(positions, batch.view)
            belongs = view.sides_of(positions, sides)
            shown.add(positions, belongs, batch.view)
            bucket.add(positions[belongs == scored], batch.view.column(table.target).to_numpy()[belongs == scored])
    withheld = work.task != "Statistics" and bucket.withheld(work.min_cell)
    if evaluate and withheld:
        shown.withhold()
    if table.binary_target and not withheld and work.task != "Statistics":
        labels.write(folders.labels_file, bucket.labelled)
    return _Counts(
        whole=read.counts(),
        patients=read.patients(),
        sample=sample,
        view_rows=shown.rows,
        view_patients=shown.patients,
        people=bucket.people[0],
        withheld=withheld,
        view=shown.digest,
        labels=bucket.labelled.digest,
        features=tuple(feature.name for feature in table.features),
    )


def _write(path: Path, document: TrainingTask | PrivateReport) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, codec.write_document(document))


def _begin_state(folders: Folders, request: RequestedTask, random_bytes: RandomBytes) -> None:
    """Empties this round's state folder: an earlier pod may have left half a state. Raises PodError (PodFailed)."""
    try:
        if not rounds.remove(folders.states, request.round_uid, random_bytes):
            message = (
                f"states/{request.round_uid} on the claim `state` holds files that the pod's user cannot remove: the "
                f"hospital's administrator removes the folder on the volume, as root: rm -r states/{request.round_uid}"
            )
            raise PodError("PodFailed", message)
        for model in request.models:
            if model.state_round:
                rounds.touch(folders.states, model.state_round)
    except OSError as error:
        message = (
            f"the folder states on the claim `state` cannot be changed ({type(error).__name__}): check that the "
            "volume is writable and not full"
        )
        raise PodError("PodFailed", message) from None


def _sweep(folders: Folders, live: LiveRounds, random_bytes: RandomBytes) -> None:
    """Removes state and checkpoints of rounds that are over. Logs a folder that stays, and does not fail the pod."""
    kept = ((folders.checkpoints, live.uids, 0), (folders.states, [*live.uids, *live.states], STATES_KEPT))
    for folder, uids, newest in kept:
        try:
            removal = rounds.remove_ended(folder, uids, parse_time(live.at), random_bytes, newest)
        except OSError as error:
            log(f"prepare could not remove {folder.name} of ended rounds: {type(error).__name__}")
            continue
        log(f"prepare: deleted the folders of {len(removal.removed)} ended rounds in {folder.name}")
        if removal.left:
            log(
                f"prepare could not remove the {folder.name} of {len(removal.left)} ended rounds. The pod's user may "
                "not remove files and folders of other users, such as the folders that the container runtime makes "
                "for an image's VOLUME or WORKDIR. The hospital's administrator: Remove them on the volume of the "
                f"claim `state`, as root, for example: rm -r {folder.name}/{removal.left[0]}"
            )


def _hold_parameters(work: Work, allowed: Sequence[AllowedParameter]) -> None:
    """Raises PodError (ParametersNotAllowed). The site operator checks this too, but the pod does not trust it."""
    for model in work.request.models:
        if refused := outside(work.task, model.parameters, allowed):
            raise PodError("ParametersNotAllowed", f"policy.parameters of the Site does not allow {'; '.join(refused)}")


def main(argv: Sequence[str]) -> int:
    def body() -> Outcome:
        if os.environ.get("WARDROUND_KIND") == "Read":
            asked = reading_from(os.environ)
            gate.hold(gate.read_settings(os.environ))
            return reading.read(Folders.from_environment(), asked, system_random_bytes)
        work = work_from(os.environ)
        allowed = allowed_parameters(os.environ)
        gate.hold(gate.read_settings(os.environ))
        _hold_parameters(work, allowed)
        folders = Folders.from_environment()
        launcher.place(folders)
        _begin_state(folders, work.request, system_random_bytes)
        _sweep(folders, work.request.live_rounds, system_random_bytes)
        return prepare(folders, work, system_clock(), system_random_bytes)

    return run("prepare", body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
