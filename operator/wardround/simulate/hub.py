"""The hub of the simulation: carries out the plan of each round, until the round is over.

All decisions are those of `plans.round`. A hospital does its whole task when it is asked, so there are no grants. Time
is virtual: a plan that waits gets the time for which it waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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
from wardround.documents import aggregations, assignments, results
from wardround.documents.assignments import Recipient
from wardround.documents.keys import Identity, Model
from wardround.documents.update_list import UpdateList
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
from wardround.sealing.keys import DecryptionKey
from wardround.simulate.errors import SimulationError
from wardround.simulate.hospital import Hospital, Means, Order, SimulatedTask
from wardround.simulate.store import ACCESS, SIGNER
from wardround.simulate.wait import wait_for
from wardround.store.put_each import put_each
from wardround.tabular.dataschema import SchemaInvalid
from wardround.wire import aggregation as answers
from wardround.wire.assignment import AssignedSchema

START = datetime(2026, 1, 1, tzinfo=UTC)
# Gets the name of each hospital that has done its task, and what it made of the task.
Report = Callable[[str, SimulatedTask], None]


@dataclass
class _Round:
    """What the hub knows of a round under way. `plan`: of its last aggregation."""

    round: FederatedRound
    base: Model | None
    references: tuple[Model, ...] = ()
    key: DecryptionKey | None = None
    tasks: dict[tuple[str, int], RoundTask] = field(default_factory=dict)
    roster: tuple[str, ...] = ()
    plan: bytes = b""
    aggregation: Aggregation | None = None
    model: StoredModel | None = None
    worked: dict[str, SimulatedTask] = field(default_factory=dict)


@dataclass
class Hub:
    """`models`: results by UID of their round. `rounds`: those that are over, by namespace and name."""

    identity: Identity
    means: Means
    models: dict[str, Model] = field(default_factory=dict)
    rounds: dict[tuple[str, str], FederatedRound] = field(default_factory=dict)
    now: datetime = START

    def run(
        self, federated_round: FederatedRound, hospitals: Mapping[str, Hospital], report: Report
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
        participants = {name: each.participant(self.identity.fingerprint, self.now) for name, each in hospitals.items()}
        schema = _schema(federated_round, hospitals)
        while not is_over(under_way.round):
            seen = self._observe(under_way, base, participants, schema)
            plan = round_plan.plan(seen)
            under_way.round = replace(under_way.round, status=plan.status)
            carried_out = [self._perform(action, under_way, seen, hospitals, report) for action in plan.actions]
            if not any(carried_out) and not is_over(under_way.round):
                self._pass_time(under_way.round, plan.requeue_after)
        done = under_way.round
        self.rounds[done.metadata.namespace, done.metadata.name] = done
        self.means.store.forget(names.updates_prefix(done.metadata.uid))
        return done, under_way.worked

    def _new_uid(self) -> str:
        return str(uuid.UUID(bytes=self.means.random_bytes(16), version=4))

    def _base(self, federated_round: FederatedRound) -> FederatedRound | None:
        name = base_name(federated_round)
        return self.rounds.get((federated_round.metadata.namespace, name)) if name else None

    def _references(self, federated_round: FederatedRound) -> tuple[Reference, ...]:
        """The rounds with whose models a round compares its own. All of them are over."""
        namespace = federated_round.metadata.namespace
        named = [(name, self.rounds.get((namespace, name))) for name in federated_round.spec.references]
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
        hospitals: Mapping[str, Hospital],
        report: Report,
    ) -> bool:
        """Whether the action changed anything. Grants, cancellations and cleaning up have no object here."""
        match action:
            case MakeRoundKey():
                under_way.key = under_way.key or DecryptionKey.generate()
            case Dispatch():
                worked = self._ask(action, under_way, seen, hospitals)
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
        self, action: Dispatch, under_way: _Round, seen: Observation, hospitals: Mapping[str, Hospital]
    ) -> SimulatedTask:
        assert under_way.key is not None, "the plan makes the round's key before it asks"
        name, uid = action.participant, under_way.round.metadata.uid
        under_way.roster = under_way.roster or action.roster
        spec = assignments.assign(
            under_way.round,
            Recipient.from_participant(seen.participants[name]),
            action,
            under_way.key.public.raw,
            under_way.base,
            self.identity,
            self.now,
            under_way.references,
        )
        metadata = Meta(
            name=names.task_name(under_way.round.metadata.name, uid, action.attempt),
            namespace=name,
            uid=self._new_uid(),
            labels=names.task_labels(under_way.round.metadata.name, uid, name, action.attempt),
            creation_timestamp=to_seconds(self.now),
        )
        task = RoundTask(metadata=metadata, spec=spec)
        most = seen.participants[name].spec.max_samples
        models = (*([under_way.base] if under_way.base else []), *under_way.references)
        order = Order(self.identity.fingerprint, most, models, self.means, self.now)
        worked = hospitals[name].work(task, order)
        under_way.tasks[name, action.attempt] = replace(task, status=worked.status)
        return worked

    def _aggregate(self, action: Aggregate, under_way: _Round, seen: Observation) -> None:
        assert under_way.key is not None, "the plan makes the round's key before it asks"
        updates = UpdateList(seen, action, SIGNER, self.now, self.means.random_bytes(NONCE_BYTES))
        wait_for(put_each(self.means.store, updates.objects()))
        under_way.plan = aggregations.plan(
            seen,
            action,
            under_way.key,
            under_way.base,
            updates.planned,
            presigner=SIGNER,
            store=ACCESS,
            now=self.now,
            least_cell=self.means.least_cell,
        )
        with TemporaryDirectory() as folder:
            path = Path(folder, "plan.json")
            path.write_bytes(under_way.plan)
            opened, clock = self.means.store.open, lambda: self.now
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


def _schema(federated_round: FederatedRound, hospitals: Mapping[str, Hospital]) -> AssignedSchema:
    """The round's DataSchema. All hospitals have the same ones. Raises SimulationError."""
    name, place = federated_round.spec.schema_name, f"Round {federated_round.metadata.name}"
    spec = next((each.schemas[name] for each in hospitals.values() if name in each.schemas), None)
    if spec is None:
        raise SimulationError(
            f"{place}: there is no DataSchema {name} (spec.schemaName). Write this DataSchema into dataschema.yaml."
        )
    try:
        return assigned(spec)
    except SchemaInvalid as error:
        raise SimulationError(f"{place}: {error}.") from None
