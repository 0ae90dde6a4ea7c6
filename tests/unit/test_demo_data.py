"""The demo's hospitals: equal on every machine, different from each other, with faulty rows."""

import csv
from pathlib import Path

import yaml

from lab import demo_data

EXAMPLES = Path(__file__).parents[2] / "examples" / "breast-cancer"
FILES = ("dataschema.yaml", "dataset.yaml")


def test_every_case_is_at_exactly_one_hospital() -> None:
    tables = demo_data.tables()
    assert {name: len(rows) for name, (_, rows) in tables.items()} == {"site-a": 341, "site-b": 159, "site-c": 69}
    assert sum(len(rows) for _, rows in tables.values()) == 569
    assert len({row[0] for _, rows in tables.values() for row in rows}) == 569


def test_the_case_mix_differs_and_the_clinic_sees_few_malignant_cases() -> None:
    shares = {
        name: sum(int(row[header.index("malignant")]) for row in rows) / len(rows)
        for name, (header, rows) in demo_data.tables().items()
    }
    assert 0.3 < shares["site-a"] < 0.45
    assert shares["site-b"] > 0.5
    assert round(shares["site-c"], 1) == 0.1


def test_the_tables_are_the_same_every_time() -> None:
    assert demo_data.tables() == demo_data.tables()


def test_the_tables_have_the_listed_faults() -> None:
    for name, (header, rows) in demo_data.tables().items():
        for row, column, text in demo_data.BLEMISHES[name]:
            assert rows[row][header.index(column)] == text


def test_the_example_dataset_describes_the_written_columns(tmp_path: Path) -> None:
    schema, dataset = (yaml.safe_load((EXAMPLES / name).read_text())["spec"] for name in FILES)
    names = [dataset["identifier"]["column"], *(field["name"] for field in schema["fields"])]
    for name, table in demo_data.tables().items():
        demo_data.write(table, tmp_path / f"{name}.csv")
        with (tmp_path / f"{name}.csv").open() as file:
            assert next(csv.reader(file)) == names


def test_the_written_tables_are_read_as_they_are(tmp_path: Path) -> None:
    demo_data.write_folders(tmp_path)
    assert demo_data.read_folders(tmp_path) == demo_data.tables()


def test_the_demo_begins_without_the_new_cases_and_the_new_patient() -> None:
    made = demo_data.tables()
    started = demo_data.at_start(made)
    assert {name: len(rows) for name, (_, rows) in started.items()} == {"site-a": 281, "site-b": 159, "site-c": 68}
    for name, (_, rows) in started.items():
        assert rows == made[name][1][: len(rows)]
        # The faults are there from the start.
        assert all(row < len(rows) for row, *_ in demo_data.BLEMISHES[name])


def test_the_new_patient_is_the_clinics_missing_case_without_its_label() -> None:
    made = demo_data.tables()
    header, [row] = demo_data.new_patient(made)
    names, rows = made["site-c"]
    assert {"malignant"} == set(names) - set(header)
    assert dict(zip(header, row, strict=True)).items() <= dict(zip(names, rows[-1], strict=True)).items()
    assert row[0] not in {each[0] for each in demo_data.at_start(made)["site-c"][1]}


def test_each_label_is_flipped_and_nothing_else_changes() -> None:
    table = demo_data.tables()["site-c"]
    header, rows = demo_data.flipped(table)
    assert header == table[0]
    place = header.index("malignant")
    assert [each[place] for each in rows] == [{"0": "1", "1": "0"}[each[place]] for each in table[1]]
    assert all(
        new[:place] + new[place + 1 :] == old[:place] + old[place + 1 :]
        for new, old in zip(rows, table[1], strict=True)
    )
    assert demo_data.flipped((header, rows)) == table
