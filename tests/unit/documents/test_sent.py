"""What the hub sends can be opened by those it is for, and read by the aggregation that it starts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.players.hub import SCHEMA, Hub
from tests.unit.plans_hub.builders import (
    IMAGE,
    NAMES,
    NOW,
    combined,
    federated_round,
    keys,
    observation,
    participant,
    sent,
)
from wardround.aggregate import plan as aggregate_plan
from wardround.api import participant as participants
from wardround.api.federatedround import FederatedRound, Resources
from wardround.api.participant import SiteReport
from wardround.api.task import Upload
from wardround.clock import system_draw
from wardround.documents import aggregations
from wardround.documents.assignments import Recipient, assign, grant, object_lengths, uploads
from wardround.documents.keys import Identity, Model
from wardround.documents.update_list import UpdateList
from wardround.hub.context import Context
from wardround.hub.observe import read_answer
from wardround.hub.round_tasks import RoundTasks
from wardround.hub.settings import SettingMissing, Settings, read
from wardround.kube.client import Client
from wardround.kube.events import Reporter
from wardround.kube.index import Index
from wardround.manifests import aggregation as manifest
from wardround.plans.round.scratch import Scratch
from wardround.plans.round.types import Aggregate, Dispatch, Observation
from wardround.presign import Credentials, Presigner
from wardround.sealing import untrusted
from wardround.sealing.assignments import open_assignment
from wardround.sealing.body import PART, ciphertext_length, part_lengths
from wardround.sealing.grants import open_grants
from wardround.sealing.keys import (
    DecryptionKey,
    RecipientKey,
    hub_fingerprint,
    load_verification_key,
)
from wardround.sealing.manifests import open_model, sign_model
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import base_context, unwrap
from wardround.store.transfer import StoreClient
from wardround.wire import assignment
from wardround.wire.aggregation import AggregationFailure, AggregationPlan, LeftOut, StoreAccess
from wardround.wire.versions import LATEST

EXTERNAL = Presigner("https://store.example:9000", "wardround", "us-east-1", Credentials("access", "very-secret"))
INTERNAL = replace(EXTERNAL, origin="https://store.hub.svc:7070")
SITE_KEY = DecryptionKey.generate()
ROUND_KEY = DecryptionKey.generate()
SCRATCH = Scratch(300 << 20, reads_twice=False)
LENGTH = 70 << 20
STATE_ROUND = "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21"


HUB = Identity.generate()


def model() -> Model:
    """Of two parts. What it holds is in the store alone, and nobody reads it here."""
    sealed = Hub(HUB).seal_model(b"", "base-uid", schema_digest="sha256:" + "1" * 64).model
    header = replace(sealed.manifest.header, length=LENGTH)
    manifest = replace(sealed.manifest, header=header, bytes=ciphertext_length(LENGTH))
    return replace(sealed, manifest=manifest, text=sign_model(manifest, HUB.key))


BASE = model()


def recipient() -> Recipient:
    return Recipient("site-a", "sha256:" + "f" * 64, SITE_KEY.public, keys("site-a").signing)


def planned(seen: Observation, action: Aggregate, base: Model | None = None) -> AggregationPlan:
    """As the aggregation Job reads it."""
    store = StoreAccess(INTERNAL.origin, "")
    updates = UpdateList(seen, action, INTERNAL, NOW, b"one try")
    assert list(updates.objects())
    text = aggregations.plan(seen, action, ROUND_KEY, base, updates.planned, presigner=INTERNAL, store=store, now=NOW)
    return aggregate_plan.parse(text)


def context() -> Context:
    settings = Settings(
        namespace="hub",
        image=IMAGE,
        store_origin=EXTERNAL.origin,
        store_internal=INTERNAL.origin,
        store_region="us-east-1",
        store_bucket="wardround",
        store_ca="",
    )
    client = Client("https://127.0.0.1:1", "", lambda: "", "hub", draw=system_draw)
    reporter = Reporter(client, "wardround.io/test", "test", lambda: NOW)
    return Context(
        client=client,
        settings=settings,
        identity=HUB,
        store=StoreClient(INTERNAL.origin, draw=system_draw),
        external=EXTERNAL,
        internal=INTERNAL,
        reporter=reporter,
        clock=lambda: NOW,
        random_bytes=bytes,
        participants=Index(client, "Participant", participants.parse, draw=system_draw),
        tasks=RoundTasks(client, draw=system_draw),
    )


def with_base() -> FederatedRound:
    return federated_round(initial=None, base={"roundName": "train-0"}, seed=11, parameters={"epochs": "5"})


def test_an_assignment_says_all_that_a_site_has_to_check_and_carries_the_base_for_it_alone() -> None:
    resources = Resources(nodes=1, accelerators_per_node=3, local_sockets=True, threads=4)
    current = replace(with_base(), spec=replace(with_base().spec, resources=resources))
    expires = NOW + timedelta(hours=2)
    action = Dispatch(
        participant="site-a",
        attempt=2,
        version=LATEST,
        roster=NAMES,
        expires=expires,
        state_round=STATE_ROUND,
        schema=SCHEMA,
    )
    spec = assign(current, recipient(), action, ROUND_KEY.public.raw, BASE, HUB, NOW)
    assert hub_fingerprint(untrusted.decode(spec.hub_key, "x")) == HUB.fingerprint
    opened = open_assignment(spec.assignment, load_verification_key(HUB.public))
    assert (opened.round_uid, opened.attempt, opened.participant) == (current.metadata.uid, 2, "site-a")
    assert opened.resources == assignment.Resources(1, 3, local_sockets=True)
    assert (opened.image, opened.image_digest) == (IMAGE, "sha256:" + "b" * 64)
    assert (opened.roster, opened.parameters, opened.initial, opened.seed) == (NAMES, {"epochs": "5"}, False, 11)
    assert (opened.version, opened.schema, opened.threads) == (LATEST, SCHEMA, 4)
    assert opened.rows == "Validation"
    assert opened.issued == "2026-11-24T16:00:00.000000Z"
    assert (opened.expires, opened.state_round) == ("2026-11-24T18:00:00Z", STATE_ROUND)
    assert RecipientKey.load(opened.round_public_key).raw == ROUND_KEY.public.raw
    assert opened.base is not None
    manifest = open_model(opened.base.manifest, load_verification_key(HUB.public))
    here = base_context(current.metadata.uid, 2, "site-a", manifest.digest)
    assert unwrap(opened.base.wrapped_key, SITE_KEY, here) == BASE.data_key
    with pytest.raises(Refused):
        unwrap(opened.base.wrapped_key, DecryptionKey.generate(), here)
    with pytest.raises(Refused):
        unwrap(opened.base.wrapped_key, SITE_KEY, replace(here, attempt=1))


def test_an_assignment_says_which_rows_an_evaluation_reads() -> None:
    spec: dict[str, Any] = {"task": "Evaluate", "metrics": ["auc"], "rows": "Test"}
    current = replace(with_base(), spec=federated_round(initial=None, base={"roundName": "train-0"}, **spec).spec)
    action = Dispatch(
        participant="site-a", attempt=1, version=LATEST, roster=NAMES, schema=SCHEMA, expires=NOW + timedelta(hours=2)
    )
    made = assign(current, recipient(), action, ROUND_KEY.public.raw, BASE, HUB, NOW)
    assert open_assignment(made.assignment, load_verification_key(HUB.public)).rows == "Test"


def a_reference(number: int) -> Model:
    made = Hub(HUB).seal_model(bytes(number), f"uid-{number}", schema_digest="sha256:" + "1" * 64).model
    stored = replace(
        made.stored,
        image=f"registry.example/trainer@sha256:{number:064x}",
        command=(f"trainer-{number}",),
        parameters={"hidden": str(number)},
    )
    return replace(made, stored=stored)


def test_an_assignment_names_each_reference_with_the_code_that_made_it() -> None:
    spec: dict[str, Any] = {"task": "Evaluate", "metrics": ["auc"], "references": ["heart-1", "heart-2"]}
    current = federated_round(initial=None, base={"roundName": "train-0"}, **spec)
    references = (a_reference(1), a_reference(2))
    action = Dispatch(
        participant="site-a",
        attempt=1,
        version=LATEST,
        roster=NAMES,
        schema=SCHEMA,
        expires=NOW + timedelta(hours=2),
        reference_states=(STATE_ROUND, ""),
    )
    made = assign(current, recipient(), action, ROUND_KEY.public.raw, BASE, HUB, NOW, references)
    opened = open_assignment(made.assignment, load_verification_key(HUB.public))
    assert [each.round_name for each in opened.references] == ["heart-1", "heart-2"]
    assert [each.state_round for each in opened.references] == [STATE_ROUND, ""]
    for number, (each, reference) in enumerate(zip(opened.references, references, strict=True), 1):
        assert (each.image, each.image_digest) == (reference.stored.image, f"sha256:{number:064x}")
        assert (each.command, each.parameters) == ((f"trainer-{number}",), {"hidden": str(number)})
        manifest = open_model(each.manifest, load_verification_key(HUB.public))
        assert manifest == reference.manifest
        here = base_context(current.metadata.uid, 1, "site-a", manifest.digest)
        assert unwrap(each.wrapped_key, SITE_KEY, here) == reference.data_key
        with pytest.raises(Refused):
            unwrap(each.wrapped_key, DecryptionKey.generate(), here)
    sealed, _ = grant(recipient(), "uid", 1, "updates/uid/1/site-a", BASE, None, EXTERNAL, NOW, references)
    grants = open_grants(untrusted.decode(sealed, "x"), SITE_KEY, round_uid="uid", attempt=1, participant="site-a")
    assert [
        f"/models/uid-{number}/1/segments?" in each.segments for number, each in enumerate(grants.references, 1)
    ] == [
        True,
        True,
    ]


def test_first_grants_fetch_the_base_and_later_ones_store_exactly_the_update() -> None:
    location = "updates/uid/1/site-a"
    first, expires = grant(recipient(), "uid", 1, location, BASE, None, EXTERNAL, NOW)
    grants = open_grants(untrusted.decode(first, "x"), SITE_KEY, round_uid="uid", attempt=1, participant="site-a")
    assert grants.put is None
    assert grants.get is not None
    assert len(grants.get.parts) == 2
    assert all(url.startswith(EXTERNAL.origin) for url in (*grants.get.parts, grants.get.segments))
    assert expires == NOW + timedelta(hours=1)
    upload = Upload(bytes=PART + 5, md5=("one", "other"))
    second, _ = grant(recipient(), "uid", 1, location, BASE, upload, EXTERNAL, NOW)
    grants = open_grants(untrusted.decode(second, "x"), SITE_KEY, round_uid="uid", attempt=1, participant="site-a")
    assert grants.put is not None
    assert [put.bytes for put in grants.put] == [PART, 5]
    assert grants.put[1].headers == {"If-None-Match": "*", "Content-Length": "5", "Content-MD5": "other"}
    assert "content-length%3Bcontent-md5%3B" in grants.put[1].url
    assert f"/wardround/{location}/part-00001?" in grants.put[1].url


def test_grants_are_nothing_to_anyone_but_the_courier_of_that_task() -> None:
    sealed, _ = grant(recipient(), "uid", 1, "updates/uid/1/site-a", None, Upload(bytes=9), EXTERNAL, NOW)
    assert "very-secret" not in sealed
    assert "X-Amz" not in str(untrusted.decode(sealed, "x"))
    with pytest.raises(Refused):
        open_grants(untrusted.decode(sealed, "x"), SITE_KEY, round_uid="uid", attempt=2, participant="site-a")


@pytest.mark.parametrize("md5", [(), ("one",)])
def test_parts_without_a_digest_are_granted_by_their_length(md5: tuple[str, ...]) -> None:
    """A site before digests existed, and a faulty one."""
    puts = uploads("updates/uid/1/site-a", Upload(bytes=PART + 5, md5=md5), EXTERNAL, NOW, 60)
    assert [put.bytes for put in puts] == [PART, 5]
    assert puts[1].headers == {"If-None-Match": "*", "Content-Length": "5"}


@pytest.mark.parametrize(("size", "lengths"), [(1, [1]), (PART, [PART]), (PART + 1, [PART, 1]), (0, [])])
def test_a_ciphertext_is_cut_into_parts(size: int, lengths: list[int]) -> None:
    assert object_lengths(size) == lengths


@pytest.mark.parametrize(
    ("current", "base", "base_digest", "has_base"),
    [
        (with_base(), BASE, BASE.manifest.digest, True),
        (federated_round(), None, None, False),
        (federated_round(initial={"statisticsRoundName": "s"}), BASE, None, False),
        (federated_round(task="Statistics", initial=None, image=None), None, "", False),
        (
            federated_round(task="Evaluate", initial=None, base={"roundName": "train-0"}),
            BASE,
            BASE.manifest.digest,
            False,
        ),
    ],
)
def test_the_aggregation_reads_the_plan_that_the_hub_writes(
    current: FederatedRound, base: Model | None, base_digest: str | None, has_base: bool
) -> None:
    seen = observation(current, tasks=tuple(map(sent, NAMES)))
    action = Aggregate(number=2, tasks=seen.tasks, until=NOW, scratch=SCRATCH)
    document = planned(seen, action, base)
    assert document.location == f"models/{current.metadata.uid}/2"
    assert (document.base_digest, document.base is not None) == (base_digest, has_base)
    assert document.listed.updates == len(NAMES)
    assert document.max_samples == dict.fromkeys(NAMES, 1000)
    assert len(document.put.parts) == 1
    assert document.put.segments.url.startswith(INTERNAL.origin)
    assert DecryptionKey.load(document.private_key).public.raw == ROUND_KEY.public.raw


def test_a_result_may_have_more_parts_than_the_compressed_updates() -> None:
    """It has the length of its base."""
    current = with_base()
    aggregation = replace(current.spec.aggregation, compression="Int8")
    compressed = replace(current, spec=replace(current.spec, aggregation=aggregation))
    seen = observation(compressed, tasks=tuple(map(sent, NAMES)))
    document = planned(seen, Aggregate(number=1, tasks=seen.tasks, until=NOW, scratch=SCRATCH), BASE)
    assert len(document.put.parts) == len(part_lengths(BASE.manifest.header.length)) > 1
    assert document.compression == "Int8"


def test_each_aggregation_has_a_data_key_of_its_own() -> None:
    seen = observation(tasks=tuple(map(sent, NAMES)))
    action = Aggregate(number=1, tasks=seen.tasks, until=NOW, scratch=SCRATCH)
    plans = [planned(seen, action) for _ in range(2)]
    assert plans[0].data_key != plans[1].data_key


@pytest.mark.parametrize(
    ("left", "seconds"), [(86400, 3600), (3600, 3600), (599.2, 600), (0.5, 1), (0, 1), (-60, 1)], ids=str
)
def test_an_aggregation_runs_no_longer_than_its_round_waits_for_it(left: float, seconds: int) -> None:
    action = Aggregate(number=3, tasks=(), until=NOW + timedelta(seconds=left), scratch=SCRATCH)
    job = manifest.build(
        aggregations.job(
            federated_round(), action, namespace=context().settings.namespace, image=context().settings.image, now=NOW
        )
    )
    assert job["spec"]["activeDeadlineSeconds"] == seconds


def test_a_participant_that_lost_its_keys_is_no_recipient() -> None:
    item = participant("site-a")
    bare = replace(item, status=replace(item.status, site=SiteReport()))
    with pytest.raises(ValueError, match="site-a has no published keys"):
        Recipient.from_participant(bare)


def test_the_hub_reads_the_answer_that_the_aggregation_writes() -> None:
    answer = combined("site-a", left_out=(LeftOut("site-c", "Altered"),))
    assert read_answer(aggregate_plan.spell(answer).decode()) == answer
    failed = AggregationFailure("NothingToAggregate", "none", (LeftOut("site-c", "Altered"),))
    assert read_answer(aggregate_plan.spell(failed).decode()) == failed


@pytest.mark.parametrize("text", ["", "Killed", "[]", "{}", '{"digest":"x"}', '{"digest":"x","header":{}}'])
def test_a_message_that_is_no_answer_counts_as_a_pod_that_failed(text: str) -> None:
    assert read_answer(text) is None


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingMissing, match="WARDROUND_STORE_ENDPOINT"):
        read({})
    settings = read(
        {
            "WARDROUND_STORE_ENDPOINT": "https://s.example",
            "WARDROUND_NAMESPACE": "hub",
            "WARDROUND_OPERATOR_IMAGE": IMAGE,
        }
    )
    assert (settings.store_internal, settings.store_bucket, settings.store_ca) == ("https://s.example", "wardround", "")


def test_the_ca_of_the_store_keeps_the_line_ends_of_the_charts_values(tmp_path: Path) -> None:
    """An admission policy compares the published CA with them."""
    (tmp_path / "ca.crt").write_bytes(b"one\r\ntwo\n")
    known = {"WARDROUND_STORE_ENDPOINT": "x", "WARDROUND_NAMESPACE": "hub", "WARDROUND_OPERATOR_IMAGE": IMAGE}
    assert read(known | {"WARDROUND_STORE_CA_FILE": str(tmp_path / "ca.crt")}).store_ca == "one\r\ntwo\n"


def test_the_limit_of_scratch_is_in_gibibytes() -> None:
    known = {
        "WARDROUND_STORE_ENDPOINT": "https://s.example",
        "WARDROUND_NAMESPACE": "hub",
        "WARDROUND_OPERATOR_IMAGE": IMAGE,
    }
    assert read(known).scratch_limit == 20 << 30
    assert read(known | {"WARDROUND_AGGREGATION_SCRATCH_GIB": "3"}).scratch_limit == 3 << 30
    assert (read(known).early_seconds, read(known | {"WARDROUND_AGGREGATION_EARLY_SECONDS": "60"}).early_seconds) == (
        0,
        60,
    )
    for wrong in ("-1", "1.5", "", "x"):
        with pytest.raises(SettingMissing, match="WARDROUND_AGGREGATION_EARLY_SECONDS"):
            read(known | {"WARDROUND_AGGREGATION_EARLY_SECONDS": wrong})
    for wrong in ("0", "20Gi", "-1", "1.5"):
        with pytest.raises(SettingMissing, match="WARDROUND_AGGREGATION_SCRATCH_GIB"):
            read(known | {"WARDROUND_AGGREGATION_SCRATCH_GIB": wrong})
