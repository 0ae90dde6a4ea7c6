"""Gathers what a round's plan is made from. Decides nothing.

All of it is read live but Participants and RoundTasks: they come from memory, so that no look at a round lists all
hospitals or all tasks. `hub/look.py` asks the API server for those that a plan rests on. Of a round that is over,
nothing is read but what its clean-up needs.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from wardround.api import federatedround, modelversion, names
from wardround.api.federatedround import FederatedRound, base_name, base_version
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.api.times import read_time
from wardround.documents.keys import Identity, Model
from wardround.hub import early, tries, vault
from wardround.hub.context import Context
from wardround.hub.made import Made
from wardround.hub.rosters import first_assignment
from wardround.kube.index import NamespacedName
from wardround.plans import result as result_plan
from wardround.plans.pod import parse_pod
from wardround.plans.round.types import EARLY_NUMBER, Aggregation, Observation, Reference
from wardround.plans.schema import assigned
from wardround.ports import Api, Object, Objects
from wardround.sealing.refused import Refused
from wardround.tabular.dataschema import SchemaInvalid
from wardround.wire import aggregation as aggregation_wire
from wardround.wire import codec
from wardround.wire.aggregation import AggregationAnswer
from wardround.wire.assignment import AssignedSchema

# Kubernetes says FailureTarget of a Job that has failed, and Failed only once its pod is gone: never, if the node is.
JOB_OVER = ("Complete", "Failed", "FailureTarget")
logger = logging.getLogger(__name__)


async def get_round(client: Api, namespace: str, name: str) -> tuple[Object, FederatedRound] | None:
    item = await client.get_if_exists("FederatedRound", name, namespace)
    return (item, federatedround.parse(item)) if item else None


@dataclass(frozen=True)
class Start:
    """A result that a round uses: its base or a reference. `uid`: UID of the round that made it. `round`: the live one
    of that name, which may be another one. `deleted`: the round that made the result is gone. A round that was applied
    after that gets no `model`."""

    round: FederatedRound | None = None
    uid: str = ""
    model: Model | None = None
    deleted: bool = False


async def observe_over(
    hub: Context, federated_round: FederatedRound, tasks: tuple[RoundTask, ...], made: Made
) -> Observation:
    """The observation of a round that is over. `tasks`: of the round, unless it is cleaned up."""
    signed = first_assignment(tasks, hub.identity)
    seen = Observation(
        round=federated_round,
        participants=identified((await hub.participants.objects()).values()),
        tasks=tasks,
        schema=signed.schema if signed else None,
        now=hub.clock(),
    )
    # Only an aggregation that began early may still run, and is stopped.
    early_runs = bool(made.jobs) and max(made.jobs) == EARLY_NUMBER
    latest = await _aggregation(hub.client, federated_round.metadata.uid, made) if early_runs else None
    return _with_made(seen, made, latest, hub.identity)


async def observe(
    hub: Context, federated_round: FederatedRound, tasks: tuple[RoundTask, ...], made: Made
) -> tuple[Observation, Model | None, tuple[Model, ...]]:
    """The observation, and the models for the execution of the plan: the base and the references. `tasks`, `made`: of
    the round."""
    client, identity = hub.client, hub.identity
    participants = identified((await hub.participants.objects()).values())
    # In one call: if two were made and the first failed, nobody would look at the second's failure.
    latest, named = await asyncio.gather(
        _aggregation(client, federated_round.metadata.uid, made), _named(client, federated_round)
    )
    labels = [task.metadata.labels for task in tasks]
    start = await _start(hub, federated_round, started_from(labels), named)
    references = await _references(hub, federated_round, labels)
    signed = first_assignment(tasks, identity)
    schema, schema_fault = (signed.schema, "") if signed else await _schema(client, federated_round)
    seen = Observation(
        round=federated_round,
        participants=participants,
        tasks=tasks,
        references=tuple(map(_reference, federated_round.spec.references, references)),
        roster=signed.roster if signed else (),
        schema=schema,
        schema_fault=schema_fault,
        waits_for=await _waits_for(client, federated_round, start.round),
        key_lost=made.key_lost,
        scratch_limit=hub.settings.scratch_limit,
        early_seconds=hub.settings.early_seconds,
        now=hub.clock(),
    )
    seen = _with_made(_with_base(seen, start), made, latest, identity)
    return seen, start.model, tuple(each.model for each in references if each.model is not None)


def _with_base(seen: Observation, start: Start) -> Observation:
    """The observation with the result that the round starts from."""
    seen = replace(seen, base=start.round, base_uid=start.uid, base_deleted=start.deleted)
    if (model := start.model) is None:
        return seen
    return replace(
        seen,
        base_model=model.stored,
        base_card=bool(model.card),
        base_state=model.state.manifest if model.state else None,
        base_state_damaged=model.state_damaged,
    )


def _reference(name: str, start: Start) -> Reference:
    model = start.model.stored if start.model else None
    return Reference(name=name, round=start.round, uid=start.uid, deleted=start.deleted, model=model)


def _with_made(seen: Observation, made: Made, latest: Aggregation | None, identity: Identity) -> Observation:
    """The observation with what the round's own Secrets say. `latest`: the aggregation, as its Job and pod show it."""
    model = _opened(made.result, seen.round.metadata.uid, identity)
    return replace(
        seen,
        aggregation=_with_notes(latest, made),
        model=model.stored if model else None,
        leftovers=made.key is not None or made.lost,
        cleaned_up=made.cleaned_up,
        puts_until=made.puts_until,
        early=early.observed(made.plans.get(EARLY_NUMBER)),
    )


async def _named(client: Api, federated_round: FederatedRound) -> FederatedRound | None:
    """The live round of the name that this one starts from."""
    return await _live(client, federated_round.metadata.namespace, base_name(federated_round))


async def _live(client: Api, namespace: str, name: str | None) -> FederatedRound | None:
    live = await get_round(client, namespace, name) if name else None
    return live[1] if live else None


async def _schema(client: Api, federated_round: FederatedRound) -> tuple[AssignedSchema | None, str]:
    """The round's DataSchema, if the namespace has it, and why it cannot be used."""
    meta = federated_round.metadata
    item = await client.get_if_exists("DataSchema", federated_round.spec.schema_name, meta.namespace)
    if item is None:
        return None, ""
    try:
        return assigned(item["spec"]), ""
    except SchemaInvalid as error:
        return None, str(error)


def started_from(tasks: Iterable[Mapping[str, str]], label: str = names.BASE_UID) -> str:
    """UID of the round whose result a round uses, by this label; nothing before there is one. `tasks`: the labels of
    each RoundTask."""
    return next((uid for labels in tasks if (uid := labels.get(label))), "")


def source_label(federated_round: FederatedRound, name: str) -> str:
    """The label of RoundTasks with the UID of the round that this round names, as its base or as a reference."""
    references = dict(zip(federated_round.spec.references, names.REFERENCE_UIDS, strict=False))
    return names.BASE_UID if name == base_name(federated_round) else references[name]


async def _references(
    hub: Context, federated_round: FederatedRound, tasks: Sequence[Mapping[str, str]]
) -> tuple[Start, ...]:
    async def one(name: str) -> Start:
        live = await _live(hub.client, federated_round.metadata.namespace, name)
        started = started_from(tasks, source_label(federated_round, name))
        return await _source(hub, federated_round, name, started, live)

    return tuple([await one(name) for name in federated_round.spec.references])


async def _start(hub: Context, federated_round: FederatedRound, started: str, named: FederatedRound | None) -> Start:
    name = base_name(federated_round)
    if version := base_version(federated_round):
        uid = started or await _pushed_uid(hub.client, federated_round.metadata.namespace, version)
        return Start(uid=uid, model=await stored_model(hub, uid) if uid else None)
    if name is None:
        return Start()
    return await _source(hub, federated_round, name, started, named)


async def _pushed_uid(client: Api, namespace: str, name: str) -> str:
    """UID of the ModelPush that has made the ModelVersion; empty without a pushed version of this name."""
    item = await client.get_if_exists(modelversion.KIND, name, namespace)
    version = modelversion.parse(item) if item is not None else None
    return version.spec.round_uid if version is not None and version.spec.pushed is not None else ""


async def _source(
    hub: Context, federated_round: FederatedRound, name: str, started: str, named: FederatedRound | None
) -> Start:
    """The result of a round that this round names. `started`: UID of the round whose result it uses already."""
    uid = started or (named.metadata.uid if named else "")
    if uid:
        gone = named is None or named.metadata.uid != uid
        return Start(named, uid, await stored_model(hub, uid), deleted=gone)
    kept = await _kept_results(hub, NamespacedName(federated_round.metadata.namespace, name))
    for result in kept:
        if result_plan.may_start(vault.kept_for(result), federated_round.metadata.uid):
            uid = result["metadata"]["labels"][names.ROUND_UID]
            return Start(None, uid, _opened(result, uid, hub.identity), deleted=True)
    return Start(deleted=bool(kept))


async def _kept_results(hub: Context, place: NamespacedName) -> Objects:
    """The results of rounds that had this name; no round has it. What a watch has shown is not enough: it may have
    missed the deletion, and the round would fail for ever. One search is enough, until a round has this name again."""
    if hub.gone.searched(place):
        return await vault.results(hub.client, sorted(hub.gone.known_results(place)))
    kept = await vault.results_by_name(hub.client, place.namespace, place.name)
    hub.gone.add_searched(place, (result["metadata"]["labels"][names.ROUND_UID] for result in kept))
    return kept


async def stored_model(hub: Context, uid: str) -> Model | None:
    """A round's stored result, see `_opened`."""
    return _opened(await hub.client.get_if_exists("Secret", names.model_secret(uid)), uid, hub.identity)


def _opened(secret: Object | None, uid: str, identity: Identity) -> Model | None:
    """A round's stored result; None also if the hub cannot use it, since that must not stop rounds that wait for it."""
    try:
        return vault.read_model(secret, identity)
    except (Refused, KeyError, ValueError) as damage:
        # Signed by another key than the hub has now, or changed by hand.
        logger.error("Secret %s cannot be used: %s", names.model_secret(uid), type(damage).__name__)
        return None


async def _waits_for(client: Api, federated_round: FederatedRound, base: FederatedRound | None) -> tuple[str, ...]:
    """Looks once, before the round has a status. Specs do not change, so the last round of a circle finds the circle at
    its first look, and the others then start from a round that has failed."""
    has_status = federated_round.status.participants is not None
    if base is None or has_status or base.status.timeline:
        return ()
    rounds = client.each("FederatedRound", federated_round.metadata.namespace)
    bases = {item["metadata"]["name"]: base_name(federatedround.parse(item)) async for item in rounds}
    return chain(bases, federated_round.metadata.name)


def chain(bases: Mapping[str, str | None], name: str) -> tuple[str, ...]:
    """A round's base, the base's base, and so on, until a round does not exist, has no base, or comes again."""
    names_of_bases: list[str] = []
    following = bases.get(name)
    while following is not None and following not in names_of_bases:
        names_of_bases.append(following)
        following = bases.get(following)
    return tuple(names_of_bases)


def identified(participants: Iterable[Participant]) -> dict[str, Participant]:
    """By name. A Participant whose namespace has another name is ignored: the namespace is the identity."""
    return {each.metadata.name: each for each in participants if each.metadata.name == each.metadata.namespace}


def _with_notes(latest: Aggregation | None, made: Made) -> Aggregation | None:
    """The aggregation and the one before it, with what their Secrets say."""
    if latest is None:
        return None
    secret = made.plans.get(latest.number)
    return replace(
        latest,
        failures=tries.failures(secret),
        given=tries.given(secret),
        earlier=tries.earlier(secret),
        plan_lost=secret is None,
        state_lost=tries.state_lost(secret, latest),
        before=_with_notes(latest.before or tries.deleted(made, latest.number - 1), made),
    )


async def _aggregation(client: Api, uid: str, made: Made) -> Aggregation | None:
    """The latest aggregation of a round, as its Jobs and their pods show it. Names of pods are random."""
    # A try whose Job the API server has not taken yet has a Secret too. The one before it may be deleted.
    later = sorted(number for number in made.plans if number > max(made.jobs, default=EARLY_NUMBER))
    if deleted := [each for number in later if (each := tries.deleted(made, number))]:
        return deleted[-1]
    if not made.jobs:
        return None
    labels = f"{names.ROUND_UID}={uid},{names.ROLE}={names.ROLE_AGGREGATION}"
    return aggregation(made.jobs.values(), await client.list("Pod", labels=labels))


def aggregation(jobs: Iterable[Object], pods: Objects) -> Aggregation | None:
    """The latest aggregation, with the try before it."""
    numbers = {int(each["metadata"]["labels"][names.ATTEMPT]): each for each in jobs}
    if not numbers:
        return None
    number = max(numbers)
    before = number - 1
    earlier = _try(before, numbers[before], pods) if before > EARLY_NUMBER and before in numbers else None
    return replace(_try(number, numbers[number], pods), before=earlier)


def _try(number: int, job: Object, pods: Objects) -> Aggregation:
    """One aggregation. Its pod is looked at first, because a pod shows its end seconds before its Job does."""
    mine = [each for each in pods if each["metadata"]["labels"].get(names.ATTEMPT) == str(number)]
    shown = [parse_pod(each) for each in mine]
    over, until = _over(job), _until(job)
    step = next((step for pod in shown for step in pod.steps.values() if step.exit_code is not None), None)
    ended = step.finished if step else read_time(over.get("lastTransitionTime", "")) if over else None
    # A Job whose time is over deletes its pod itself.
    expired = (over or {}).get("reason") == "DeadlineExceeded" or bool(until and ended and ended >= until)
    left = any(pod.leaving for pod in shown) or (over is not None and not shown)
    return Aggregation(
        number=number,
        over=step is not None or over is not None,
        answer=read_answer(_last_words(mine)),
        ended=ended,
        until=until,
        gone_by=max((pod.gone_by for pod in shown if pod.gone_by), default=None),
        disrupted=left and not expired,
        exit_code=step.exit_code if step else None,
        cause=next((pod.reason for pod in shown if pod.reason), step.reason if step else ""),
    )


def _over(job: Object) -> Mapping[str, Any] | None:
    """The condition that says that the Job is over."""
    conditions = job.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] in JOB_OVER and each["status"] == "True"), None)


def _until(job: Object) -> datetime | None:
    """When Kubernetes ends a Job that still runs. It may begin to count a moment later."""
    created = read_time(job["metadata"].get("creationTimestamp", ""))
    seconds = job.get("spec", {}).get("activeDeadlineSeconds")
    return created + timedelta(seconds=seconds) if created and seconds else None


def _last_words(pods: Iterable[Object]) -> str:
    """The termination message of the container; empty without one."""
    states = (each.get("state", {}) for pod in pods for each in pod.get("status", {}).get("containerStatuses", []))
    return next((ended.get("message", "") for state in states if (ended := state.get("terminated"))), "")


def read_answer(text: str) -> AggregationAnswer | None:
    """A termination message; None if it is no answer. Such a pod counts as failed."""
    try:
        return aggregation_wire.read_answer(text)
    except codec.Malformed:
        return None
