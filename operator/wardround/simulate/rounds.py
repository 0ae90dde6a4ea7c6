"""The rounds of the simulation: carries out the hub's plan of each round, until the round is over.

All decisions are those of `plans.round`. A hospital does its whole task when it is asked. Time is virtual: a plan that
waits gets the time for which it waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from wardround.aggregate import main as aggregation
from wardround.aggregate import plan as aggregation_plan
from wardround.api import names
from wardround.api.federatedround import FederatedRound, base_name
from wardround.api.meta import Meta
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask
from wardround.api.times import to_seconds
from wardround.clock import NONCE_BYTES
from wardround.documents import aggregations, results
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Identity, Model
from wardround.plans.round import plan as round_plan
from wardround.plans.round.status import is_over
from wardround.plans.round.types import (
    Aggregate,
    Aggregation,
    Dispatch,
    MakeRoundKey,
    Observation,
    Reference,
    StoredModel,
    StoreModel,
)
from wardround.plans.schema import assigned
from wardround.simulate.errors import SimulationError
from wardround.simulate.hub import Hub
from wardround.simulate.store import ACCESS, SIGNER
from wardround.simulate.wait import wait_for
from wardround.simulate.work import Means, Order, SimulatedTask, Workplace
from wardround.tabular.dataschema import SchemaInvalid
from wardround.wire import aggregation as answers
from wardround.wire.assignment import AssignedSchema

START = datetime(2026, 1, 1, tzinfo=UTC)
# Gets the name of each hospital that has done its task, and what it made of the task.
Report = Callable[[str, SimulatedTask], None]


@dataclass
class _Round:
    """What the hub knows of a round under way. `hub`: with the round's key. `plan`: of its last aggregation."""

    round: FederatedRound
    base: Model | None
    references: tuple[Model, ...] = ()
    hub: Hub | None = None
    tasks: dict[tuple[str, int], RoundTask] = field(default_factory=dict)
    roster: tuple[str, ...] = ()
    plan: bytes = b""
    aggregation: Aggregation | None = None
    model: StoredModel | None = None
    worked: dict[str, SimulatedTask] = field(default_factory=dict)


@dataclass
class Rounds:
    """The rounds of one hub. `models`: results by UID of their round. `ended`: rounds that are over, by namespace and
    name."""

    identity: Identity
    means: Means
    models: dict[str, Model] = field(default_factory=dict)
    ended: dict[tuple[str, str], FederatedRound] = field(default_factory=dict)
    now: datetime = START

    def run(
        self, federated_round: FederatedRound, workplaces: Mapping[str, Workplace], report: Report
    ) -> tuple[FederatedRound, Mapping[str, SimulatedTask]]:
        """Carry out a round. Return it with its final status, and what each hospital made of its last task.

        Raises SimulationError for a round that waits for a person.
        """
        metadata = replace(
            federated_round.metadata, uid=self._new_uid(), generation=1, creation_timestamp=to_seconds(self.now)
        )
        base = self._base(federated_round)
        model = self.models.get(base.metadata.uid) if base else None
        compared = tuple(map(self._reference, self._references(federated_round)))
        references = tuple(each for each in compared if each is not None)
        under_way = _Round(replace(federated_round, metadata=metadata), model, references)
        participants = {name: each.hospital.participant(self.now) for name, each in workplaces.items()}
        schema = _schema(federated_round, workplaces)
        while not is_over(under_way.round):
            seen = self._observe(under_way, base, participants, schema)
            plan = round_plan.plan(seen)
            under_way.round = replace(under_way.round, status=plan.status)
            carried_out = [self._perform(action, under_way, seen, workplaces, report) for action in plan.actions]
            if not any(carried_out) and not is_over(under_way.round):
                self._pass_time(under_way.round, plan.requeue_after)
        done = under_way.round
        self.ended[done.metadata.namespace, done.metadata.name] = done
        self.means.store.forget(names.updates_prefix(done.metadata.uid))
        return done, under_way.worked

    def _new_uid(self) -> str:
        return str(uuid.UUID(bytes=self.means.random_bytes(16), version=4))

    def _base(self, federated_round: FederatedRound) -> FederatedRound | None:
        name = base_name(federated_round)
        return self.ended.get((federated_round.metadata.namespace, name)) if name else None

    def _references(self, federated_round: FederatedRound) -> tuple[Reference, ...]:
        """The rounds with whose models a round compares its own. All of them are over."""
        namespace = federated_round.metadata.namespace
        named = [(name, self.ended.get((namespace, name))) for name in federated_round.spec.references]
        return tuple(
            Reference(name=name, round=live, uid=live.metadata.uid, model=_stored(self.models.get(live.metadata.uid)))
            if live
            else Reference(name=name)
            for name, live in named
        )

    def _reference(self, reference: Reference) -> Model | None:
        return self.models.get(reference.uid)

    def _observe(
        self,
        under_way: _Round,
        base: FederatedRound | None,
        participants: Mapping[str, Participant],
        schema: AssignedSchema,
    ) -> Observation:
        return Observation(
            round=under_way.round,
            participants=participants,
            tasks=tuple(under_way.tasks.values()),
            base=base,
            base_uid=base.metadata.uid if base else "",
            base_model=_stored(under_way.base),
            base_state=under_way.base.state.manifest if under_way.base and under_way.base.state else None,
            references=self._references(under_way.round),
            aggregation=under_way.aggregation,
            model=under_way.model,
            roster=under_way.roster,
            schema=schema,
            now=self.now,
        )

    def _pass_time(self, federated_round: FederatedRound, seconds: float | None) -> None:
        """Let the time pass for which the plan waits. Raises SimulationError if it waits for no time."""
        if seconds is None:
            reached = [each for each in federated_round.status.conditions if each.status == "True" and each.message]
            why = " ".join(each.message for each in reached)
            raise SimulationError(f"Round {federated_round.metadata.name} cannot continue: {why}")
        self.now += timedelta(seconds=max(seconds, 1.0))

    def _perform(
        self,
        action: object,
        under_way: _Round,
        seen: Observation,
        workplaces: Mapping[str, Workplace],
        report: Report,
    ) -> bool:
        """Whether the action changed anything. The hub grants when it asks. Cancellations and cleaning up have no
        object here."""
        match action:
            case MakeRoundKey():
                under_way.hub = under_way.hub or Hub(self.identity)
            case Dispatch():
                worked = self._ask(action, under_way, seen, workplaces)
                under_way.worked[action.participant] = worked
                report(action.participant, worked)
            case Aggregate():
                self._aggregate(action, under_way, seen)
            case StoreModel():
                self._keep(action, under_way)
            case _:
                return False
        return True

    def _ask(
        self, action: Dispatch, under_way: _Round, seen: Observation, workplaces: Mapping[str, Workplace]
    ) -> SimulatedTask:
        hub, name, uid = under_way.hub, action.participant, under_way.round.metadata.uid
        assert hub is not None, "the plan makes the round's key before it asks"
        under_way.roster = under_way.roster or action.roster
        recipient = Recipient.from_participant(seen.participants[name])
        base, references = under_way.base, under_way.references
        asked = hub.ask(under_way.round, recipient, action, self.now, base, references)
        grant = partial(hub.grant, asked, recipient, SIGNER, self.now)
        metadata = Meta(
            name=names.task_name(under_way.round.metadata.name, uid, action.attempt),
            namespace=name,
            uid=self._new_uid(),
            labels=names.task_labels(under_way.round.metadata.name, uid, name, action.attempt),
            creation_timestamp=to_seconds(self.now),
        )
        task = RoundTask(metadata=metadata, spec=grant(base=base, references=references))
        most = seen.participants[name].spec.max_samples
        order = Order(most, lambda upload: grant(upload=upload), self.means, self.now)
        worked = workplaces[name].work(task, order)
        under_way.tasks[name, action.attempt] = replace(task, status=worked.status)
        return worked

    def _aggregate(self, action: Aggregate, under_way: _Round, seen: Observation) -> None:
        hub, store = under_way.hub, self.means.store
        assert hub is not None, "the plan makes the round's key before it asks"
        nonce = self.means.random_bytes(NONCE_BYTES)
        listed = wait_for(hub.list_updates(seen, action, store, SIGNER, self.now, nonce))
        under_way.plan = aggregations.plan(
            seen,
            action,
            hub.round_key,
            under_way.base,
            listed,
            presigner=SIGNER,
            store=ACCESS,
            now=self.now,
            least_cell=self.means.least_cell,
        )
        with TemporaryDirectory() as folder:
            path = Path(folder, "plan.json")
            path.write_bytes(under_way.plan)
            opened, clock = store.open, lambda: self.now
            answer = wait_for(aggregation.carry_out(path, Path(folder), open_store=opened, clock=clock))
        # Through the termination message, whose length is limited, as on a cluster.
        text = aggregation_plan.spell(answer).decode()
        under_way.aggregation = Aggregation(
            number=action.number, over=True, answer=answers.read_answer(text), ended=self.now
        )

    def _keep(self, action: StoreModel, under_way: _Round) -> None:
        plan = aggregation_plan.parse(under_way.plan)
        under_way.model = action.model
        self.models[under_way.round.metadata.uid] = results.model(plan, action.answer, action.model, self.identity.key)


def _stored(model: Model | None) -> StoredModel | None:
    return model.stored if model else None


def _schema(federated_round: FederatedRound, workplaces: Mapping[str, Workplace]) -> AssignedSchema:
    """The round's DataSchema. All hospitals have the same ones. Raises SimulationError."""
    name, place = federated_round.spec.schema_name, f"Round {federated_round.metadata.name}"
    schemas = [each.hospital.schemas for each in workplaces.values()]
    spec = next((each[name] for each in schemas if name in each), None)
    if spec is None:
        raise SimulationError(
            f"{place}: there is no DataSchema {name} (spec.schemaName). Write this DataSchema into dataschema.yaml."
        )
    try:
        return assigned(spec)
    except SchemaInvalid as error:
        raise SimulationError(f"{place}: {error}.") from None
