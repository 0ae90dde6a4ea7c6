"""Counts the patients of the holdout file that a hospital's file holds, too. Shows no identifier."""

from __future__ import annotations

from collections.abc import Sequence

from wardround.pod import dataset
from wardround.pod.outcome import PodError
from wardround.simulate.files import HospitalFiles
from wardround.tabular import schema


def cautions(holdout: HospitalFiles, hospitals: Sequence[HospitalFiles]) -> tuple[str, ...]:
    """One sentence for each hospital and Dataset that share identifiers with the holdout file."""
    lines = []
    for name, spec in holdout.datasets.items():
        held_out = _identifiers(holdout, name)
        for hospital in hospitals:
            own = _identifiers(hospital, name) if name in hospital.datasets else frozenset()
            if shared := len(held_out & own):
                lines.append(
                    f"--holdout {spec['path']}: {shared} of the {len(held_out)} patients in the holdout file have "
                    f"identifiers that are in the file of {hospital.name}, too. If these are the same people, a model "
                    "can have trained on them: remove these patients from the holdout file."
                )
    return tuple(lines)


def _identifiers(hospital: HospitalFiles, name: str) -> frozenset[str]:
    """The identifiers of the usable rows of a Dataset. None for a file or a schema that is wrong: the first round that
    reads it says so."""
    spec = hospital.datasets[name]
    try:
        table = schema.parse(hospital.schema(name), spec)
        rows = dataset.read(hospital.folder / spec["path"], spec["format"], table, dataset.Reading())
        return frozenset(each for batch in rows for each in batch.identifiers)
    except (PodError, schema.SchemaInvalid):
        return frozenset()
