"""Reads what a simulation is made from: the rounds of YAML files, and one folder for each hospital. Runs nothing.

A hospital's folder stands for the claim of its Datasets. It holds `dataset.yaml` and the data file at the Dataset's
path. `secrets/`, if it is there, is the folder `secrets` of the hospital's claim `state`. `dataschema.yaml` beside the
folders holds the DataSchemas of all hospitals.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from wardround.api import dataschema, dataset, federatedround
from wardround.api.federatedround import FederatedRound, FederatedRoundSpec, source_names
from wardround.api.unknown_fields import unknown_fields
from wardround.metrics import registry
from wardround.simulate.errors import SimulationError
from wardround.wire import codec
from wardround.wire.assignment import LABEL, MOST_REFERENCES

DATASET_FILE, SCHEMA_FILE, SECRETS = "dataset.yaml", "dataschema.yaml", "secrets"
HOLDOUT = "holdout"
DEFAULT_NAMESPACE = "simulation"
# A share of all patients but one in 2^64, because the split refuses a share of 1.
ALL = "0.99999999999999999999"


@dataclass(frozen=True)
class HospitalFiles:
    """`datasets`, `schemas`: specs of Datasets and DataSchemas by name, unparsed as in the API. `folder`: where the
    data files lie. `secrets`: None if the folder has none."""

    name: str
    folder: Path
    datasets: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]]
    secrets: Path | None

    def schema(self, name: str) -> Mapping[str, Any]:
        """The spec of the DataSchema of a Dataset."""
        return self.schemas[self.datasets[name]["schemaName"]]


def read_rounds(file: Path) -> list[FederatedRound]:
    """The FederatedRounds of a YAML file. Other kinds are ignored. Raises SimulationError."""
    rounds = [each for each in _documents(file) if each.get("kind") == federatedround.KIND]
    if not rounds:
        raise SimulationError(f"{file} has no FederatedRound.")
    return parse_rounds(rounds)


def parse_rounds(items: Iterable[Mapping[str, Any]]) -> list[FederatedRound]:
    """Raises SimulationError."""
    return [_parse_round(each) for each in items]


def in_order(rounds: Sequence[FederatedRound]) -> list[FederatedRound]:
    """The rounds, each after the round that it starts from, else in the given order. Raises SimulationError."""
    waiting: dict[tuple[str, str], FederatedRound] = {}
    for each in rounds:
        if waiting.setdefault((each.metadata.namespace, each.metadata.name), each) is not each:
            raise SimulationError(f"Two rounds have the name {each.metadata.name}. Give each round another name.")
    ordered: list[FederatedRound] = []
    while waiting:
        ready = [each for each in waiting.values() if not any(source in waiting for source in _sources(each))]
        if not ready:
            circle = ", ".join(name for _, name in waiting)
            raise SimulationError(
                f"These rounds wait for each other for ever, because each starts from another of them: {circle}. "
                "Correct spec.base."
            )
        known = {(each.metadata.namespace, each.metadata.name) for each in ordered}
        for each in ready:
            for _, missing in (source for source in _sources(each) if source not in known):
                uses = "compares its model with" if missing in each.spec.references else "starts from"
                raise SimulationError(
                    f"Round {each.metadata.name} {uses} round {missing}, and none of the given files has it. Also "
                    f"give the file with round {missing}."
                )
            ordered.append(waiting.pop((each.metadata.namespace, each.metadata.name)))
    return ordered


def read_hospitals(data: Path) -> list[HospitalFiles]:
    """One for each folder in `data`, by name. Raises SimulationError."""
    folders = sorted(each for each in data.iterdir() if each.is_dir()) if data.is_dir() else []
    file = data / SCHEMA_FILE
    schemas = _schemas(file) if file.is_file() else {}
    hospitals = [_hospital(each, schemas) for each in folders if (each / DATASET_FILE).is_file()]
    if not hospitals:
        raise SimulationError(
            f"{data} has no hospital. Make one folder in it for each hospital, with {DATASET_FILE} and the data "
            f"file at the path that {DATASET_FILE} names."
        )
    if any(each.name == HOLDOUT for each in hospitals):
        raise SimulationError(f"{data / HOLDOUT}: a hospital cannot have the name {HOLDOUT}. Rename the folder.")
    return hospitals


def read_holdout(file: Path, first: HospitalFiles) -> HospitalFiles:
    """A hospital of which every row is a test row. `first`: the hospital whose Datasets describe the file.

    Raises SimulationError.
    """
    if not file.is_file():
        raise SimulationError(f"--holdout {file}: there is no such file.")
    kind = "Parquet" if file.suffix == ".parquet" else "CSV"
    datasets = {}
    for name, spec in first.datasets.items():
        split = {"validation": "0", "test": ALL}
        datasets[name] = {**copy.deepcopy(dict(spec)), "path": file.name, "format": kind, "split": split}
    return HospitalFiles(HOLDOUT, file.resolve().parent, datasets, first.schemas, None)


def _documents(file: Path) -> list[Mapping[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text("utf-8")))
    except OSError as error:
        raise SimulationError(f"{file} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SimulationError(f"{file} is not YAML: {error}.") from None
    return [each for each in documents if isinstance(each, Mapping)]


def _parse_round(item: Mapping[str, Any]) -> FederatedRound:
    name = _name(item, "a FederatedRound")
    place = f"FederatedRound {name}"
    try:
        parsed = federatedround.parse({"metadata": item["metadata"], "spec": item.get("spec")})
    except codec.Malformed as error:
        raise SimulationError(f"{place}: {error}.") from None
    _refuse_unknown(item.get("spec"), codec.dump(parsed.spec), f"{place}: spec")
    if fault := _fault(parsed):
        raise SimulationError(f"{place}: {fault}")
    namespace = parsed.metadata.namespace or DEFAULT_NAMESPACE
    return replace(parsed, metadata=replace(parsed.metadata, namespace=namespace))


def _fault(federated_round: FederatedRound) -> str:
    """The rules of the CRD without which no plan makes sense; empty if the round keeps them."""
    spec = federated_round.spec
    if (spec.participants.names is None) == (spec.participants.selector is None):
        return "spec.participants needs either names or selector, and not both."
    if (spec.image is None) != (spec.task == "Statistics"):
        return "a Train or Evaluate round needs spec.image, and a Statistics round cannot have it."
    if spec.base and spec.base.version_name is not None:
        return (
            "spec.base.versionName names a pushed ModelVersion, and a simulation has no ModelVersions. Name a round "
            "in spec.base.roundName."
        )
    if spec.task == "Train" and (spec.base is None) == (spec.initial is None):
        return "a Train round needs either spec.base or spec.initial, and not both."
    if spec.task == "Evaluate" and (spec.base is None or spec.initial is not None):
        return "an Evaluate round needs spec.base, and cannot have spec.initial."
    if spec.task == "Statistics" and (spec.base or spec.initial):
        return "a Statistics round cannot have spec.base or spec.initial."
    return _metrics_fault(spec) or _reference_fault(spec) or _gate_fault(spec)


def _metrics_fault(spec: FederatedRoundSpec) -> str:
    unknown = [name for name in spec.metrics if name not in registry.EVALUATE]
    if spec.task == "Evaluate" and unknown:
        known = ", ".join(registry.EVALUATE)
        return (
            f"an Evaluate round cannot have the metric {unknown[0]} in spec.metrics. The metrics of an Evaluate round "
            f"are {known}."
        )
    if not re.fullmatch(r"0[.][0-9]*[1-9][0-9]*", spec.specificity):
        return 'spec.specificity has to be a decimal above 0 and below 1, such as "0.9".'
    return ""


def _reference_fault(spec: FederatedRoundSpec) -> str:
    if not spec.references:
        return ""
    if spec.task != "Evaluate":
        return "only an Evaluate round can have spec.references."
    if len(spec.references) > MOST_REFERENCES or len(set(spec.references)) < len(spec.references):
        return f"spec.references takes at most {MOST_REFERENCES} names, and each name only once."
    if spec.base and spec.base.round_name in spec.references:
        return "spec.references names the round of spec.base, and a round does not compare a model with itself."
    return ""


def _gate_fault(spec: FederatedRoundSpec) -> str:
    if spec.gate is None:
        return ""
    if not spec.references or spec.rows != "Validation":
        return (
            "spec.gate compares the model with references on validation rows. So the round has to have "
            "spec.references and `rows: Validation`."
        )
    return "" if spec.gate.min_events >= 1 else "spec.gate.minEvents has to be at least 1."


def _schemas(file: Path) -> dict[str, Mapping[str, Any]]:
    """The specs of the DataSchemas in a file. Raises SimulationError."""
    schemas = {}
    for item in _documents(file):
        if item.get("kind") != dataschema.KIND:
            continue
        name = _name(item, f"{file}: a DataSchema")
        place = f"{file}: DataSchema {name}"
        try:
            parsed = codec.parse(dataschema.DataSchemaSpec, item.get("spec"))
        except codec.Malformed as error:
            raise SimulationError(f"{place}: spec.{error}.") from None
        spec: Mapping[str, Any] = codec.dump(parsed)
        _refuse_unknown(item.get("spec"), spec, f"{place}: spec")
        schemas[name] = spec
    return schemas


def check_participants(
    federated_round: FederatedRound, data: Path, hospitals: Sequence[str], *, has_holdout: bool
) -> None:
    """Raises SimulationError for a round that names somebody who is not there, or names the holdout in another way than
    alone in an Evaluate round."""
    names, place = federated_round.spec.participants.names or (), f"Round {federated_round.metadata.name}"
    if HOLDOUT in names:
        if len(names) > 1:
            raise SimulationError(
                f"{place} names both {HOLDOUT} and hospitals in spec.participants.names. Remove {HOLDOUT} there: with "
                "--holdout, each Evaluate round also measures its model on the holdout file."
            )
        if federated_round.spec.task != "Evaluate":
            raise SimulationError(
                f"{place} has only {HOLDOUT} in spec.participants.names, so no hospital takes part. Only an Evaluate "
                f"round can do without hospitals. Replace {HOLDOUT} there by names of hospitals."
            )
        if not has_holdout:
            raise SimulationError(
                f"{place} measures the holdout file, and the command has no such file. Give one with --holdout FILE."
            )
    elif missing := [name for name in names if name not in hospitals]:
        raise SimulationError(
            f"{place} names the hospital {missing[0]} in spec.participants.names, but {data} has no folder "
            f"{missing[0]} with a file {DATASET_FILE}. The hospitals there are {', '.join(hospitals)}."
        )


def _hospital(folder: Path, schemas: Mapping[str, Mapping[str, Any]]) -> HospitalFiles:
    if not LABEL.matches(folder.name):
        raise SimulationError(
            f"{folder}: the name of a hospital's folder can have only lower-case letters, digits and hyphens. Rename "
            "the folder."
        )
    file = folder / DATASET_FILE
    items = [each for each in _documents(file) if each.get("kind") == dataset.KIND]
    if not items:
        raise SimulationError(f"{file} has no Dataset.")
    datasets = {}
    for item in items:
        name = _name(item, f"{file}: a Dataset")
        place, spec = f"{file}: Dataset {name}", item.get("spec")
        datasets[name] = _dataset(spec, place)
        if not (folder / datasets[name]["path"]).is_file():
            raise SimulationError(
                f"{place}: {folder} has no file {datasets[name]['path']} (spec.path). Put the file there, or "
                "correct spec.path of the Dataset."
            )
        key_file = datasets[name]["split"].get("keyFile")
        if key_file and not (folder / key_file).is_file():
            raise SimulationError(
                f"{place}: {folder} has no file {key_file} (spec.split.keyFile). Put the file there, or remove "
                "spec.split.keyFile from the Dataset."
            )
        if (schema := datasets[name]["schemaName"]) not in schemas:
            raise SimulationError(
                f"{place}: there is no DataSchema {schema} (spec.schemaName). Write it into {SCHEMA_FILE} beside the "
                "hospitals' folders."
            )
    secrets = folder / SECRETS
    return HospitalFiles(folder.name, folder.resolve(), datasets, schemas, secrets if secrets.is_dir() else None)


def _dataset(spec: Any, place: str) -> Mapping[str, Any]:
    """The spec with the API server's defaults. Raises SimulationError."""
    if not isinstance(spec, Mapping):
        raise SimulationError(f"{place}: spec is missing.")
    try:
        parsed = codec.parse(dataset.DatasetSpec, {"claimName": "data", "split": {}, **spec})
    except codec.Malformed as error:
        raise SimulationError(f"{place}: spec.{error}.") from None
    filled: dict[str, Any] = codec.dump(parsed)
    _refuse_unknown(spec, filled, f"{place}: spec")
    return filled


def _name(item: Mapping[str, Any], place: str) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        raise SimulationError(f"{place} has no usable metadata.name.")
    return name


def _refuse_unknown(given: Any, known: Any, place: str) -> None:
    """Raises SimulationError."""
    for fault in unknown_fields(given, known, place):
        raise SimulationError(f"{fault}.")


def _sources(federated_round: FederatedRound) -> list[tuple[str, str]]:
    """Namespace and name of each round whose result this one needs."""
    return [(federated_round.metadata.namespace, name) for name in source_names(federated_round)]
