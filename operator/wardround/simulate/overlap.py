"""Counts the patients of the holdout file that a hospital's file holds, too. Shows no identifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wardround.pod import dataset
from wardround.pod.outcome import Failure
from wardround.simulate.files import HospitalFiles
from wardround.tabular import schema


def cautions(holdout: HospitalFiles, hospitals: Sequence[HospitalFiles]) -> tuple[str, ...]:
    """One sentence for each hospital and Dataset that share identifiers with the holdout file."""
    lines = []
    for name, spec in holdout.datasets.items():
        held_out = _identifiers(holdout, spec)
        for hospital in hospitals:
            own = _identifiers(hospital, hospital.datasets[name]) if name in hospital.datasets else frozenset()
            if shared := len(held_out & own):
                lines.append(
                    f"--holdout {spec['path']}: {shared} of its {len(held_out)} patients have identifiers that are "
                    f"also in the file of {hospital.name}. If they are the same people, a model may have trained on "
                    "them: remove them from the holdout file."
                )
    return tuple(lines)


def _identifiers(hospital: HospitalFiles, spec: Mapping[str, Any]) -> frozenset[str]:
    """Of the usable rows. None for a file or a schema that is wrong: the first round that reads it says so."""
    try:
        table = schema.parse(spec["schema"])
        rows = dataset.read(hospital.folder / spec["path"], spec["format"], table, dataset.Reading())
        return frozenset(each for batch in rows for each in batch.identifiers)
    except (Failure, schema.SchemaInvalid):
        return frozenset()
