"""Hospitals whose files have their own columns, units and spellings reach the digests of files without them."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

from lab import demo_data
from tests.unit.simulate.rounds import digests, played, short

# Dataset.spec.fields of a hospital, and by field what is written in place of a text.
FIELDS = [
    {"name": "mean_area", "from": "FLAECHE_CM2", "scale": "100"},
    {"name": "mean_radius", "from": "RADIUS"},
    {
        "name": "malignant",
        "from": "BEFUND",
        "categories": [{"name": "0", "from": "gut"}, {"name": "1", "from": "boese"}],
    },
]


def spell_otherwise(hospital: Path) -> None:
    """Rewrites a hospital's file and Dataset. The file says the same of the same patients."""
    with (hospital / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        area = row.pop("mean_area")
        row["FLAECHE_CM2"] = area if area == "NA" else f"{float(area) / 100:.15g}"
        row["RADIUS"] = row.pop("mean_radius")
        row["BEFUND"] = {"0": "gut", "1": "boese"}[row.pop("malignant")]
        row["FALL"] = row.pop("patient_id")
    with (hospital / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sorted(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    [dataset] = yaml.safe_load_all((hospital / "dataset.yaml").read_text("utf-8"))
    dataset["spec"] |= {"fields": FIELDS, "identifier": {"column": "FALL", "type": "string"}}
    (hospital / "dataset.yaml").write_text(yaml.safe_dump(dataset), "utf-8")


def test_local_columns_units_and_names_change_no_digest(tmp_path: Path, once: list[str]) -> None:
    demo_data.write_folders(tmp_path)
    before = (tmp_path / "site-b" / "cases.csv").read_text("utf-8")
    spell_otherwise(tmp_path / "site-b")
    assert (tmp_path / "site-b" / "cases.csv").read_text("utf-8") != before
    assert digests(played(short(), tmp_path)) == once
