"""A file in which a column has another unit is refused before a row is trained on, and people can accept or mend it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.reader import Reader
from wardround.pod import columns_record
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import column_scales

LINES = world.rows()


def record_at(folders: Folders) -> Path:
    return folders.secrets / columns_record.FOLDER / "breast.json"


def split(lines: list[str]) -> list[list[str]]:
    return [line.split(",") for line in lines]


def with_radius(convert: Callable[[float], float], lines: list[str] = LINES) -> list[str]:
    """The same rows with another radius."""
    parts = split(lines)
    return [",".join([patient, f"{convert(float(radius)):.6f}", *others]) for patient, radius, *others in parts]


CENTIMETRES = with_radius(lambda radius: radius / 10)


def write(folders: Folders, lines: list[str], header: str = world.HEADER) -> None:
    (folders.raw / "cases.csv").write_text("\n".join([header, *lines]) + "\n")


def next_round(
    folders: Folders, lines: list[str], kind: str = "Train", *, header: str = world.HEADER, **changes: Any
) -> None:
    for path in (folders.task_file, *folders.data.iterdir()):
        path.unlink(missing_ok=True)
    write(folders, lines, header)
    world.prepare(folders, world.task(kind, **changes))


def dataset(**changes: Any) -> dict[str, Any]:
    return {**world.DATASET, **changes}


@pytest.mark.parametrize("kind", ["Train", "Evaluate", "Statistics"])
def test_no_task_goes_on_with_a_column_in_another_unit(tmp_path: Path, kind: str) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    before = record_at(folders).read_bytes()
    with pytest.raises(PodError) as caught:
        next_round(folders, CENTIMETRES, kind)
    assert (caught.value.reason, caught.value.exit_code, caught.value.field) == ("ColumnsChanged", 65, "mean_radius")
    assert not folders.task_file.exists()
    assert record_at(folders).read_bytes() == before
    with pytest.raises(PodError):
        next_round(folders, CENTIMETRES, kind)
    next_round(folders, LINES, kind)


def test_the_message_names_the_column_and_no_value(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    with pytest.raises(PodError) as caught:
        next_round(folders, CENTIMETRES)
    words = caught.value.message
    assert words.startswith("the values of mean_radius have another scale")
    assert "set spec.columnsVersion of the Dataset to 1:" in words
    assert not [digit for digit in "023456789" if digit in words]


def test_a_reading_without_a_round_refuses_the_file_too(reader: Reader) -> None:
    assert reader.read()[0] == 0
    write(reader.folders, CENTIMETRES)
    code, outcome = reader.read()
    assert (code, outcome.reason, outcome.field) == (65, "ColumnsChanged", "mean_radius")
    assert outcome.rows == len(LINES)


def test_people_accept_a_change_by_the_columns_version(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    next_round(folders, CENTIMETRES, dataset=dataset(columnsVersion=1))
    with pytest.raises(PodError, match="columnsVersion of the Dataset to 2:"):
        next_round(folders, LINES, dataset=dataset(columnsVersion=1))
    next_round(folders, LINES, dataset=dataset(columnsVersion=2))


def test_a_hospital_that_mends_a_wrong_unit_by_scale_goes_on(tmp_path: Path) -> None:
    """Also if the first file had the wrong unit, so that the right one is the change."""
    folders = world.pod(tmp_path, CENTIMETRES)
    world.prepare(folders, world.task())
    scaled = dataset(fields=[{"name": "mean_radius", "scale": "10"}])
    next_round(folders, CENTIMETRES, dataset=scaled)
    with pytest.raises(PodError, match="the values of mean_radius"):
        next_round(folders, with_radius(lambda radius: radius / 100), dataset=scaled)


def test_another_entry_of_one_field_begins_only_this_column_anew(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    parts = split(CENTIMETRES)
    months = [",".join([patient, radius, str(12 * int(age)), label]) for patient, radius, age, label in parts]
    with pytest.raises(PodError, match="the values of age have"):
        next_round(folders, months, dataset=dataset(fields=[{"name": "mean_radius", "offset": "0.5"}]))


def test_people_accept_the_change_of_one_column_by_a_text_in_its_missing_values(tmp_path: Path) -> None:
    """The other columns and the labels are still compared."""
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    accepted = dataset(fields=[{"name": "mean_radius", "missingValues": ["accepted-1"]}])
    parts = split(CENTIMETRES)
    months = [",".join([patient, radius, str(12 * int(age)), label]) for patient, radius, age, label in parts]
    with pytest.raises(PodError, match="the values of age have"):
        next_round(folders, months, dataset=accepted)
    next_round(folders, CENTIMETRES, dataset=accepted)
    with pytest.raises(PodError, match="the values of mean_radius have"):
        next_round(folders, LINES, dataset=accepted)


def test_another_meaning_in_the_data_schema_begins_the_column_anew(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    schema = world.task()["schema"]
    schema["fields"][0]["unit"] = "cm"
    next_round(folders, CENTIMETRES, schema=schema)


def test_a_file_with_both_units_does_not_let_the_new_unit_pass_afterwards(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    next_round(folders, LINES[:150] + CENTIMETRES[150:])
    with pytest.raises(PodError, match="the values of mean_radius"):
        next_round(folders, CENTIMETRES)


def test_drift_in_small_steps_is_no_change(tmp_path: Path) -> None:
    """After eight steps, the values are where a single step is refused."""
    folders, schema = world.pod(tmp_path), world.task()["schema"]
    del schema["fields"][0]["maximum"]
    world.prepare(folders, world.task(schema=schema))
    lines = LINES
    for _ in range(8):
        lines = with_radius(lambda radius: radius + 4, lines)
        next_round(folders, lines, schema=schema)
    with pytest.raises(PodError, match="the values of mean_radius"):
        next_round(folders, LINES, schema=schema)


def test_a_file_of_too_few_people_neither_fails_nor_changes_what_is_remembered(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    before = record_at(folders).read_bytes()
    (folders.secrets / "patients" / "breast.json").unlink()
    next_round(folders, CENTIMETRES[: column_scales.FEWEST_PEOPLE - 1], minCell=1)
    assert record_at(folders).read_bytes() == before


def test_each_dataset_has_a_record_of_its_own(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    next_round(folders, CENTIMETRES, datasetName="other")


def test_only_prepare_reads_the_record(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    assert stat.S_IMODE(record_at(folders).stat().st_mode) == 0o600
    record = json.loads(record_at(folders).read_text())
    assert record["scales"].keys() == record["correlations"].keys() == {"mean_radius", "age"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"scales": {"age": {}}}',
        '{"scales": {"age": {"column": "", "people": 30, "quantiles": ["x"]}}}',
    ],
)
def test_a_damaged_record_ends_the_pod_in_words(tmp_path: Path, text: str) -> None:
    folders = world.pod(tmp_path)
    world.prepare(folders, world.task())
    record_at(folders).write_text(text)
    with pytest.raises(PodError) as caught:
        next_round(folders, LINES)
    assert caught.value.reason == "PodFailed"
    assert "secrets/columns/breast.json on the claim `state`" in caught.value.message


def test_no_task_goes_on_with_exchanged_labels(tmp_path: Path) -> None:
    header, schema = "patient_id,a,b,c,malignant", world.task()["schema"]
    schema["fields"][:2] = [{"name": name, "type": "number"} for name in "abc"]
    lines = [f"{patient},{radius},{float(radius) ** 2},-{radius},{label}" for patient, radius, _, label in split(LINES)]
    flipped = [f"{line[:-1]}{1 - int(line[-1])}" for line in lines]
    folders = world.pod(tmp_path, lines, header)
    world.prepare(folders, world.task(schema=schema))
    with pytest.raises(PodError) as caught:
        next_round(folders, flipped, header=header, schema=schema)
    assert (caught.value.reason, caught.value.field) == ("ColumnsChanged", "malignant")
    assert caught.value.message.startswith("nearly all columns go with the target malignant in the opposite direction")
    with pytest.raises(PodError):
        next_round(folders, flipped, header=header, schema=schema)
    exchanged = [{"name": "0", "from": "1"}, {"name": "1", "from": "0"}]
    mended = dataset(fields=[{"name": "malignant", "categories": exchanged}])
    next_round(folders, flipped, header=header, schema=schema, dataset=mended)
    with pytest.raises(PodError):
        next_round(folders, lines, header=header, schema=schema, dataset=mended)
    next_round(folders, lines, header=header, schema=schema, dataset=mended | {"columnsVersion": 1})
