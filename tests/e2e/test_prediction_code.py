"""The code of a model answers a Prediction in a real closed pod: hostile code finds features, and nothing else."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import demo_rounds, install
from lab.install import HUB_NAMESPACE, SITE_NAMESPACE
from tests.conditions import condition, is_true
from tests.e2e import hostile
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, Federation
from tests.probes.findings import findings
from tests.unit.card.models import making
from tests.unit.plans_hub.builders import NOW
from wardround import tensors
from wardround.api.federatedround import DEFAULT_COMMAND
from wardround.api.names import HUB_SIGNING_KEY
from wardround.card import folder, predict
from wardround.documents import cards
from wardround.sealing.cards import sign_card
from wardround.sealing.keys import dump_verification_key, hub_fingerprint, load_signing_key
from wardround.tabular import schema
from wardround.wire.card import CardArchitecture
from wardround_trainer import network

Object = dict[str, Any]
SITE = "site-a"
HIDDEN = (4,)
ROWS = 20
# The hub's API server and the cluster's own: the walls of a training pod are tested with many more.
TARGETS = [
    ("tcp", "198.51.100.1", 6443),
    ("tcp", "10.96.0.1", 443),
    ("udp", "10.96.0.10", 53),
    ("tcp", "127.0.0.1", 80),
]


@dataclass(frozen=True)
class Asked:
    """A Prediction that is over. `answers`: what our own code answers with the same model and rows."""

    item: Object
    job: str
    answer: Path
    answers: list[predict.Answer]
    identifiers: list[str]


def deliver(federation: Federation, name: str, code: Object) -> tuple[Path, str]:
    """Puts a model onto the claim of models as a courier does. The hub's own key signs its card."""
    described = demo_rounds.data_schema()["spec"]
    table = schema.parse(described, demo_rounds.dataset()["spec"])
    random, features = np.random.default_rng(5), len(table.features)
    weights = {
        each: random.normal(0, 0.3, shape).astype(np.float32)
        for each, shape in network.shapes(features, HIDDEN).items()
    }
    weights |= {
        "wardround.input.mean": np.full(features, 10, np.float32),
        "wardround.input.std": np.full(features, 50, np.float32),
    }
    home = install.models_folder(SITE) / name
    version = home / "v1"
    version.mkdir(parents=True)
    tensors.write(version / folder.MODEL_FILE, weights)
    secret = federation.kubectl("hub").get("secret", HUB_SIGNING_KEY, "-n", HUB_NAMESPACE)
    key = load_signing_key(base64.b64decode(secret["data"]["key"]))
    public = dump_verification_key(key.public_key())
    made = making((version / folder.MODEL_FILE).read_bytes(), code, described)
    card = sign_card(cards.first(made, NOW), key)
    (version / folder.CARD_FILE).write_text(folder.signed(card, public).text)
    (home / "current").write_text("v1\n")
    return version, hub_fingerprint(public)


def ask(federation: Federation, base: str, parameters: dict[str, str], command: list[str]) -> Asked:
    name, cluster = federation.name(base), federation.kubectl(SITE)
    code = {"image": federation.images.trainer.reference, "command": command}
    version, pin = deliver(federation, name, {**code, "parameters": parameters})
    try:
        header, *lines = (install.data_folder(SITE) / "cases.csv").read_text("utf-8").splitlines()
        rows = install.claim_folder(SITE, install.ROWS_CLAIM) / f"{name}.csv"
        rows.write_text("\n".join([header, *lines[:ROWS]]) + "\n", "utf-8")
        cluster.apply(
            {
                "apiVersion": "wardround.io/v1alpha1",
                "kind": "Prediction",
                "metadata": {"name": name, "namespace": SITE_NAMESPACE},
                "spec": {
                    "model": {"name": name},
                    "datasetName": DATASET,
                    "code": code,
                    "rows": {"claimName": install.ROWS_CLAIM, "path": rows.name},
                    "answer": {"claimName": install.ANSWERS_CLAIM, "path": rows.name},
                },
            }
        )

        def made() -> Object:
            return cluster.get("prediction", name, "-n", SITE_NAMESPACE)

        eventually("the Prediction has ended", lambda: is_true(made(), "Complete") or is_true(made(), "Failed"), 300)
        loaded = folder.load(version, pin)
        built_in = replace(loaded, card=replace(loaded.card, architecture=CardArchitecture(hidden=HIDDEN)))
        spec = demo_rounds.dataset()["spec"]
        identifier = spec["identifier"]["column"]
        return Asked(
            made(),
            f"job/predict-{made()['metadata']['uid']}",
            install.claim_folder(SITE, install.ANSWERS_CLAIM) / rows.name,
            list(predict.Answers(built_in, spec, rows)),
            [each[identifier] for each in csv.DictReader([header, *lines[:ROWS]])],
        )
    finally:
        shutil.rmtree(version.parent)


@pytest.fixture(scope="module")
def hostile_answer(federation: Federation) -> Asked:
    source = f"{Path(hostile.__file__).read_text('utf-8')}\npredicting({TARGETS!r})\n"
    return ask(federation, "hostile-code", carried(source), COMMAND)


def assert_answers(asked: Asked) -> None:
    assert is_true(asked.item, "Complete"), asked.item["status"]
    given = list(csv.DictReader(asked.answer.read_text("utf-8").splitlines()))
    assert [each["identifier"] for each in given] == [each.identifier for each in asked.answers]
    for written, own in zip(given, asked.answers, strict=True):
        assert written["fault"] == "; ".join(own.faults)
        if own.probability is None:
            assert written["probability"] == ""
        else:
            assert float(written["probability"]) == pytest.approx(own.probability, abs=1e-6)
    assert np.std([each.probability for each in asked.answers if each.probability is not None]) > 0.001


def test_the_trainers_image_answers_as_our_own_code_to_a_millionth(federation: Federation) -> None:
    assert_answers(ask(federation, "by-image", {"hidden": "4"}, list(DEFAULT_COMMAND)))


def test_hostile_code_brings_its_probabilities_into_the_answer_and_nothing_else(
    federation: Federation, hostile_answer: Asked
) -> None:
    assert_answers(hostile_answer)
    assert hostile.MARK not in hostile_answer.answer.read_text("utf-8")
    assert hostile.MARK not in json.dumps(hostile_answer.item)
    complete = condition(hostile_answer.item, "Complete")
    assert complete is not None
    assert complete.reason == "Predicted"
    assert not [
        each
        for claim in (install.ROWS_CLAIM, install.ANSWERS_CLAIM, install.MODELS_CLAIM)
        for each in install.claim_folder(SITE, claim).rglob(f"{hostile.MARK}*")
    ]


def test_hostile_code_finds_features_alone(federation: Federation, hostile_answer: Asked) -> None:
    log = federation.kubectl(SITE)("logs", "-n", SITE_NAMESPACE, hostile_answer.job, "-c", "model")
    seen = findings(log)
    assert [each for each in seen["reached"] if each[3] == "open"] == []
    made = dict(seen["sockets"])
    assert made.pop("AF_UNIX") == "open"
    assert set(made.values()) == {"EAFNOSUPPORT"}
    assert sorted(each for each in seen["files"] if each.startswith("/wardround")) == [
        "/wardround/base/model.safetensors",
        "/wardround/data/evaluation.parquet",
        "/wardround/task/task.json",
    ]
    mounted = {line.split()[1] for line in seen["mounts"] if line.split()[1].startswith("/wardround/")}
    assert mounted == {f"/wardround/{each}" for each in ("task", "data", "base", "out", "state/in")}
    assert seen["marked"] == ["/wardround/out", "/tmp", "/dev/shm"]
    assert len(seen["processes"]) == 1
    everything = json.dumps(seen)
    assert not [each for each in hostile_answer.identifiers if each in everything]
    assert "WARDROUND" not in json.dumps(seen["environment"])
    assert "secrets" not in "\n".join(seen["mounts"])
