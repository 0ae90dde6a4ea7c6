"""Tries a training image's code without a cluster: statistics, two rounds of training and an evaluation, one hospital.

    python examples/own-image/try_trainer.py DATASCHEMA.yaml DATASET.yaml CASES.csv -- \
      python examples/own-image/trainer.py

`wardround simulate` plays the rounds: the Job, the folders of each container and our own containers around your command
(prepare, check, score) are those of a real hospital, and complain of the same things. To try a whole image, let the
command be
`docker run --rm --network none --user $(id -u) -e WARDROUND_ROOT -v /dev/shm:/dev/shm IMAGE python /trainer.py`
(with `-v /tmp:/tmp` where there is no /dev/shm).

Your code has to read the root of all paths from WARDROUND_ROOT. Not tried here: the launcher (so sockets, symbolic
links and io_uring work here and fail at a hospital), the closed network, the read-only file system, and the limits of
CPU and memory.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "operator"))

from wardround.simulate.errors import RoundFailed, SimulationError
from wardround.simulate.play import Finished, play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared
from wardround.simulate.trainers import process

IMAGE = "registry.example/yours@sha256:" + "0" * 64
HOSPITAL = "site-a"


def rounds(dataset: dict[str, Any], parameters: dict[str, str], frozen: list[str]) -> list[dict[str, Any]]:
    """Statistics, two rounds of training, and an evaluation."""
    training: dict[str, Any] = {
        "task": "Train",
        "seed": 7,
        "image": IMAGE,
        "parameters": parameters,
        "metrics": ["loss", "auc"],
        "exchange": {"frozen": frozen},
    }
    scored = {"rows": "Test", "metrics": ["loss", "accuracy", "sensitivity", "auc"]}
    specs: dict[str, dict[str, Any]] = {
        "statistics": {"task": "Statistics"},
        "train-1": {**training, "initial": {"statisticsRoundName": "statistics"}},
        "train-2": {**training, "base": {"roundName": "train-1"}},
        "evaluate": {**training, **scored, "task": "Evaluate", "base": {"roundName": "train-2"}},
    }
    participants = {"names": [HOSPITAL]}
    names = {"datasetName": dataset["metadata"]["name"], "schemaName": dataset["spec"]["schemaName"]}
    return [
        {"metadata": {"name": name}, "spec": {**spec, **names, "participants": participants}}
        for name, spec in specs.items()
    ]


def write_hospital(folder: Path, schema: Path, dataset: dict[str, Any], rows: Path) -> None:
    """The folder of a hospital, with its DataSchema beside it.

    It has no secrets, so the simulation makes the same ones at every try.
    """
    data = folder / dataset["spec"]["path"]
    data.parent.mkdir(parents=True)
    shutil.copy(rows, data)
    shutil.copy(schema, folder.parent / "dataschema.yaml")
    (folder / "dataset.yaml").write_text(yaml.safe_dump(dataset), encoding="utf-8")


def say_data(finished: Finished) -> None:
    """What `prepare` says of the data; the hospital's Dataset has the same in its status."""
    report = finished.reports[HOSPITAL]["prepare"]
    left_out = ", ".join(f"{each.field} {each.reason} {each.rows}" for each in report.quality or ())
    print(f"data: {report.rows} rows of {report.patients} patients are used; left out: {left_out or 'none'}")


def say_update(finished: Finished) -> None:
    """What our own code makes of the output. A hospital's own metrics stay on its SiteTask. Their sums leave."""
    reports = finished.reports[HOSPITAL]
    own = reports.get("score") or reports.get("check")
    numbers = {each.name: each.value for each in (own.metrics if own else None) or ()}
    print(f"{finished.name}: {finished.result.samples} samples, {finished.result.bytes} bytes, {numbers}")


def say_output(ended: Ended) -> None:
    if not ended.container.ours:
        print(ended.output, end="", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schema", type=Path, help="a DataSchema, as YAML")
    parser.add_argument("dataset", type=Path, help="a Dataset, as YAML")
    parser.add_argument("rows", type=Path, help="the file that it describes")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the round")
    parser.add_argument("--frozen", action="append", default=[], metavar="PATTERN", help="of exchange.frozen")
    parser.add_argument("command", nargs="+", help="your command, without the verb")
    chosen = parser.parse_args()
    parameters = dict(each.split("=", 1) for each in chosen.parameter)
    dataset = yaml.safe_load(chosen.dataset.read_text())
    wanted = rounds(dataset, parameters, chosen.frozen)
    with tempfile.TemporaryDirectory() as data:
        write_hospital(Path(data, HOSPITAL), chosen.schema, dataset, chosen.rows)
        try:
            # Here people see the numbers of few patients, too. A hospital tells none over fewer than 11.
            simulation = prepared(wanted, data, min_cell=1, trainer=process(chosen.command))
            for finished in play(simulation, watch=say_output):
                assert isinstance(finished, Finished), "without repeats no round is skipped"
                if finished.name == "statistics":
                    say_data(finished)
                say_update(finished)
        except RoundFailed as failure:
            print(f"refused: {failure.name}: {failure.explanations.get(HOSPITAL, failure)}", file=sys.stderr)
            return 1
        except SimulationError as error:
            print(f"refused: {error}", file=sys.stderr)
            return 1
    print("All rounds were accepted. What this did not try: see the text of this program.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
