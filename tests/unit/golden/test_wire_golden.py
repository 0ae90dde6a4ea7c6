"""Every wire format as it is written. Intended changes: `UPDATE_GOLDEN=1 pytest tests/unit/golden`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.golden.test_outcome_golden import OUTCOMES
from wardround.wire import codec
from wardround.wire.aggregation import (
    AggregationFailure,
    AggregationPlan,
    AggregationResult,
    CalibrationGroup,
    CombinedDifference,
    CombinedMetric,
    CombinedVerdict,
    LeftOut,
    ListPage,
    PlannedBase,
    PlannedCollection,
    PlannedGate,
    PlannedList,
    PlannedMoment,
    PlannedPage,
    PlannedRound,
    PlannedStart,
    PlannedState,
    PlannedUpdate,
    PlannedUpload,
    PlannedUploads,
    StoreAccess,
    read_answer,
)
from wardround.wire.assignment import (
    AssignedBase,
    AssignedDelivery,
    AssignedField,
    AssignedModel,
    AssignedPushed,
    AssignedReference,
    AssignedSchedule,
    AssignedSchema,
    AssignedStep,
    Assignment,
    Exchange,
    Quorum,
    Resources,
)
from wardround.wire.card import (
    CardArchitecture,
    CardCode,
    CardField,
    CardMetric,
    CardModel,
    CardParent,
    CardUse,
    ModelCard,
)
from wardround.wire.collected import ClosedList, CollectedPage
from wardround.wire.envelope import Envelope, Signature
from wardround.wire.grants import Grants, PushGrants, PushOffer, Put, TransferGrants
from wardround.wire.model_folder import CardFile, FolderOwner
from wardround.wire.models import Get, Header, ModelManifest, UpdateManifest
from wardround.wire.server_state import StateManifest, StateMoment
from wardround.wire.training import (
    CONTRACT,
    DatasetView,
    LiveRounds,
    PrivateReport,
    RequestedReference,
    RequestedTask,
    RoundAttempt,
    TrainingTask,
)
from wardround.wire.update import UpdateClaims, ValidationSums
from wardround.wire.versions import LATEST, critical

HERE = Path(__file__).parent / "wire"
UID = "0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"
BEFORE = "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21"
STORE = "https://store.example"


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def header(kind: str, participant: str) -> Header:
    return Header(
        suite="HPKE-XWING-HKDFSHA256-AES256GCM",
        kind=kind,
        round_uid=UID,
        attempt=1,
        participant=participant,
        base_digest=digest("b"),
        image_digest=digest("a"),
        schema_digest=digest("5"),
        length=5,
        salt=bytes(32),
        commitment=b"\xff" * 32,
    )


MODEL = ModelManifest(header("Model", ""), digest("d"), digest("e"), f"models/{UID}/1", 21)
STATE = StateManifest(
    result_digest=digest("d"),
    strategy="FedAvgM",
    parameters={"serverLearningRate": "1", "momentum": "0.9"},
    frozen=("wardround.input.*",),
    moments=(StateMoment(header("ServerState", ""), digest("f"), f"models/{UID}/1/moment-0"),),
)
GET = Get(f"{STORE}/segments", (f"{STORE}/part-00000",))
PUT = Put(f"{STORE}/part-00000", 21, {"If-None-Match": "*", "Content-Length": "21"})
UPLOAD = PlannedUpload(f"{STORE}/part-00000", {"If-None-Match": "*"})
SCHEMA = {
    "fields": [
        {"name": "mean_radius", "type": "number", "unit": "mm", "minimum": "0", "maximum": "50"},
        {"name": "malignant", "type": "integer", "categories": ["0", "1"]},
    ],
    "target": "malignant",
}
REQUESTED = RequestedTask(
    contract=CONTRACT,
    participant="site-a",
    seed=7,
    round=RoundAttempt("train-1", 1),
    round_uid=UID,
    state_round=BEFORE,
    base_digest=digest("b"),
    image_digest=digest("a"),
    command=("python", "-m", "wardround_trainer"),
    parameters={"epochs": "5"},
    exchange=Exchange(("wardround.input.*",)),
    metrics=("loss",),
    max_samples=1000,
    live_rounds=LiveRounds((UID,), (BEFORE,), "2026-11-24T16:15:00Z"),
    threads=2,
    references=(
        RequestedReference(
            base_digest=digest("d"),
            image_digest=digest("a"),
            command=("python", "-m", "wardround_trainer"),
            parameters={"epochs": "3"},
            state_round=BEFORE,
        ),
    ),
    compression="None",
)
TRAINING = TrainingTask(
    contract=CONTRACT,
    task="Train",
    participant="site-a",
    seed=7,
    order_seed=2**63 - 1,
    round=RoundAttempt("train-1", 1),
    state_round=BEFORE,
    base_digest=digest("b"),
    parameters={"epochs": "5"},
    exchange=Exchange(("wardround.input.*",)),
    dataset=DatasetView(SCHEMA, ("mean_radius",), 200),
    metrics=("loss",),
    threads=2,
)
LEFT_OUT = (LeftOut("site-b", "Altered"),)
FORMATS: dict[str, Any] = {
    "assignment": Assignment(
        version=LATEST,
        critical=critical(LATEST),
        round_uid=UID,
        round_namespace="breast-cancer",
        round_name="train-1",
        attempt=1,
        task="Train",
        participant="site-a",
        site_fingerprint=digest("f"),
        round_public_key=b"key",
        suite="HPKE-XWING-HKDFSHA256-AES256GCM",
        image=f"registry.example/trainer@{digest('a')}",
        image_digest=digest("a"),
        command=("python", "-m", "wardround_trainer"),
        dataset_name="breast",
        parameters={"epochs": "5"},
        seed=7,
        exchange=Exchange(("wardround.input.*",)),
        metrics=("loss",),
        initial=False,
        base=AssignedBase("{}", b"wrapped"),
        roster=("site-a", "site-b"),
        quorum=Quorum(2, (), 60, "Fail"),
        resources=Resources(1, 0, local_sockets=False),
        wait_seconds=900,
        train_seconds=1800,
        upload_seconds=600,
        issued="2026-11-24T16:15:00.000000Z",
        expires="2026-11-24T17:15:00Z",
        state_round=BEFORE,
        schema=AssignedSchema(digest("5"), digest("c"), (AssignedField("mean_radius", "0123456789ab"),)),
        rows="Validation",
        threads=2,
        release="Readers",
        pushed=(AssignedPushed(digest=digest("e"), requested_by="wanda"),),
        references=(
            AssignedReference(
                round_name="heart-1",
                manifest="{}",
                wrapped_key=b"wrapped",
                image=f"registry.example/trainer@{digest('a')}",
                image_digest=digest("a"),
                command=("python", "-m", "wardround_trainer"),
                parameters={"epochs": "3"},
                state_round=BEFORE,
            ),
        ),
        model=AssignedModel(
            name="breast",
            uid=UID,
            series=1,
            round=2,
            rounds=30,
            tasks=("Statistics", "Train", "Evaluate Validation"),
            image=f"registry.example/trainer@{digest('a')}",
            command=("python", "-m", "wardround_trainer"),
            parameters={"epochs": "5"},
            schedules=(AssignedSchedule("epochs", (AssignedStep(15, "2"),)),),
            frozen=("wardround.input.*",),
            metrics=("loss",),
            quorum=Quorum(2, (), 60, "Fail"),
            evaluation_quorum=Quorum(2, (), 60, "Fail"),
            resources=Resources(1, 0, local_sockets=False),
        ),
        delivery=AssignedDelivery(model_name="heart", model_uid=UID, version=3, keep=5, card="{}"),
        evaluation_every=5,
        keyed_digest=True,
        admission_seconds=600,
    ),
    "model": MODEL,
    "server-state": STATE,
    "update": UpdateManifest(
        header=header("Update", "site-a"),
        digest=digest("d"),
        wrapped_key=b"wrapped",
        samples=290,
        withheld=False,
        tells=True,
        min_cell=11,
        sealed_sums=b"sealed",
        bytes=21,
        expires="2026-11-24T17:15:00Z",
    ),
    "requested-task": REQUESTED,
    "training-task": TRAINING,
    "private-report": PrivateReport(
        task="Train",
        base_digest=digest("b"),
        exchange=Exchange(("wardround.input.*",)),
        compression="Int8",
        metrics=("loss",),
        schema=SCHEMA,
        samples=290,
        min_cell=11,
        rows="Validation",
        people=40,
        withheld=False,
        tells=True,
        references=0,
        salt=b"salt",
    ),
    "update-claims": UpdateClaims(
        samples=290,
        withheld=False,
        tells=True,
        min_cell=11,
        sums=b"{}",
        digest=digest("d"),
        schema_digest=digest("5"),
        base_digest=digest("b"),
        length=5,
    ),
    "validation-sums": ValidationSums(
        people=40, sums={"people": ("40.0", "12.0", "28.0"), "rows": ("41.0",)}, reported={"own": "0.5"}
    ),
    "grants": Grants("2026-11-24T17:15:00Z", GET, (PUT,)),
    "transfer-grants": TransferGrants("2026-11-24T17:15:00Z", GET, "PEM"),
    "push-grants": PushGrants("2026-11-24T17:15:00Z", PUT, (PUT,), "PEM"),
    "push-offer": PushOffer("push-uid", "wanda", digest("e"), header("Model", ""), b"wrapped", b"sealed"),
    "aggregation-plan": AggregationPlan(
        round=PlannedRound(UID),
        task="Train",
        strategy="FedAvg",
        weighting="Samples",
        max_weight_share="1",
        parameters={},
        max_samples={"site-a": 1000, "site-b": 1000},
        metrics=("loss",),
        specificity="0.9",
        least_cell=11,
        references=("heart-1",),
        gate=PlannedGate(min_events=20, trained={"site-a": 290}),
        private_key=b"private",
        data_key=b"data",
        image_digest=digest("a"),
        initial=False,
        frozen=("wardround.input.*",),
        compression="Int8",
        location=f"models/{UID}/1",
        reads_twice=False,
        anticipates=True,
        base_digest=digest("b"),
        base=PlannedBase(MODEL, b"base", GET),
        listed=PlannedList(b"list", 1, (PlannedPage(f"{STORE}/page-00000", 700),)),
        put=PlannedUploads((UPLOAD,), PlannedUpload(f"{STORE}/segments", {"If-None-Match": "*"})),
        state=PlannedState(
            (
                PlannedMoment(
                    b"moment",
                    STATE.moments[0].header,
                    STATE.moments[0].location,
                    PlannedUploads((UPLOAD,), PlannedUpload(f"{STORE}/segments", {"If-None-Match": "*"})),
                ),
            ),
            PlannedStart(STATE, (b"before",), (GET,)),
        ),
        store=StoreAccess(STORE, "PEM"),
    ),
    "collecting-list": PlannedList(
        b"list", 3, (), PlannedCollection(f"updates/{UID}/lists/0-00", f"{STORE}/page-00000", 131822, 600)
    ),
    "collected-page": CollectedPage(
        (PlannedUpdate("site-a", 1, "{}", b"signing", (f"{STORE}/part-00000",)),),
        f"{STORE}/page-00002",
        ClosedList((digest("1"), digest("2")), {"site-a": 1000}),
    ),
    "list-page": ListPage((PlannedUpdate("site-a", 1, "{}", b"signing", (f"{STORE}/part-00000",)),)),
    "aggregation-result": AggregationResult(
        header=MODEL.header,
        digest=digest("d"),
        segments_digest=digest("e"),
        bytes=21,
        samples=290,
        metrics={"loss": CombinedMetric(value="0.12", low="0.1", high="0.14", people=82, hospitals=2)},
        calibration=(CalibrationGroup(low="0.000001", high="0.25", people=41, observed="0.02"),),
        by_hospital={"site-a": {"loss": "0.13"}},
        differences=(
            CombinedDifference(
                reference="heart-1",
                value="-0.02",
                low="-0.03",
                high="-0.01",
                loss="0.14",
                people=82,
                events=31,
                hospitals=2,
            ),
        ),
        verdict=CombinedVerdict(outcome="Worse", reason="WorseThanReference", reference="heart-1", unseen=("site-c",)),
        withheld=1,
        uncounted=("site-c",),
        aggregated=("site-a",),
        counted=(290,),
        left_out=LEFT_OUT,
        state=(digest("f"),),
        closed=None,
        numbers_too_large=("site-a",),
        middle_norm="1.2",
    ),
    "card": ModelCard(
        version=1,
        revision=2,
        issued="2026-11-24T16:15:00Z",
        round_namespace="breast-cancer",
        round_name="train-1",
        round_uid=UID,
        model=CardModel(digest=digest("d"), bytes=5, schema_digest=digest("5")),
        fields=(
            CardField(name="radius", type="number", role="Feature", gap="NoPrediction", unit="mm", minimum="0"),
            CardField(name="malignant", type="integer", role="Target", gap="Allowed", categories=("0", "1")),
        ),
        data_schema_digest=digest("5"),
        columns_digest=digest("c"),
        architecture=CardArchitecture(hidden=(32, 16)),
        code=CardCode(
            image=f"registry.example/trainer@{digest('a')}",
            command=("python", "-m", "wardround_trainer"),
            parameters={"epochs": "5"},
        ),
        parents=(CardParent(task="Statistics", round_name="statistics", round_uid=BEFORE, digest=digest("e")),),
        parents_omitted=0,
        hospitals=2,
        people=398,
        metrics=(
            CardMetric(
                name="loss",
                value="0.12",
                low="0.1",
                high="0.14",
                better="Lower",
                people=82,
                hospitals=2,
                rows="Test",
                round_name="evaluate",
            ),
        ),
        use=CardUse(intended_use="research", limits="adults", licence="CC-BY-4.0", contact="a@example.org"),
        release="Readers",
    ),
    "card-file": CardFile(card={"version": 1, "revision": 2}, hub_key=b"spki", signature=b"signature"),
    "folder-owner": FolderOwner(federation="breast-cancer", name="heart", uid=UID),
    "envelope": Envelope(payload=b"{}", payload_type="application/json", signatures=(Signature(keyid="", sig=b"s"),)),
    "aggregation-failure": AggregationFailure("NothingToAggregate", "no update counts", LEFT_OUT, 2),
}


def version(value: object) -> int | None:
    """The version of a format that has versions."""
    return value.version if isinstance(value, Assignment | ModelCard) else None


@pytest.mark.parametrize("name", FORMATS)
def test_a_wire_format_matches_its_golden_file_and_reads_back(name: str) -> None:
    golden, value = HERE / f"{name}.json", FORMATS[name]
    document = codec.dump_document(value, version(value))
    if os.environ.get("UPDATE_GOLDEN"):
        HERE.mkdir(exist_ok=True)
        golden.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    written = json.loads(golden.read_text())
    assert document == written
    assert codec.parse_document(type(value), written, version=version(value)) == value


@pytest.mark.parametrize("name", FORMATS)
def test_a_wire_format_with_an_unknown_field_is_refused(name: str) -> None:
    written = json.loads((HERE / f"{name}.json").read_text())
    with pytest.raises(codec.Malformed, match="unknown field 'more'"):
        codec.parse_document(type(FORMATS[name]), {**written, "more": 1}, version=version(FORMATS[name]))


# What the answers of earlier versions lack.
LATER = {"middleNorm", "numbersTooLarge"}


def answer_without(*names: str) -> str:
    """An answer of the aggregation without these fields."""
    written = json.loads((HERE / "aggregation-result.json").read_text())
    return json.dumps({name: each for name, each in written.items() if name not in names})


@pytest.mark.parametrize("name", sorted(json.loads(answer_without(*LATER))))
def test_an_answer_of_the_aggregation_has_the_fields_that_all_versions_write(name: str) -> None:
    with pytest.raises(codec.Malformed, match=f"^{name}: missing$"):
        read_answer(answer_without(name))


def test_the_answer_of_a_job_of_an_earlier_version_is_read() -> None:
    answer = read_answer(answer_without(*LATER))
    assert answer == replace(FORMATS["aggregation-result"], middle_norm=None, numbers_too_large=())


def test_each_format_has_a_golden_file_and_there_is_no_other() -> None:
    assert {path.stem for path in HERE.iterdir()} == {*FORMATS, *OUTCOMES}
