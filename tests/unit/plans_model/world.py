"""A FederatedModel and its rounds as an API server holds them, for tests of the model's plan. No I/O."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wardround.api import conditions, federatedmodel, federatedround, modelversion
from wardround.api.conditions import Condition
from wardround.api.federatedmodel import FederatedModel, Pinned, SeriesStatus
from wardround.api.federatedround import (
    INITIAL_WEIGHTS,
    Attention,
    Counts,
    FederatedRound,
    FederatedRoundStatus,
    HospitalVerdicts,
    Outcome,
    Result,
    ResultMetric,
    RoundVerdict,
)
from wardround.api.meta import OwnerReference
from wardround.api.modelversion import ModelVersion
from wardround.api.timeline import Stage
from wardround.api.times import to_seconds
from wardround.documents import models
from wardround.plans.model import delivery as deliveries
from wardround.plans.model import plan as model_plan
from wardround.plans.model import series as rounds
from wardround.plans.model import testing
from wardround.plans.model.next_look import next_look, requeue_after_write
from wardround.plans.model.status import ROUND_GONE
from wardround.plans.model.types import (
    Action,
    CreateDelivery,
    CreateRound,
    CreateTest,
    CreateVersion,
    Delete,
    KeepRound,
    Observation,
    OwnVersion,
    Plan,
    ReportLoss,
    ReportTest,
    ReportVersion,
    SuspendRound,
)
from wardround.plans.round.status import DISPATCHED
from wardround.reasons.registry import advise, is_lasting

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
UID = "0123abcd-0000-4000-8000-000000000001"
IMAGE = "registry.example/trainer@sha256:" + "a" * 64
Object = dict[str, Any]


def model(name: str = "heart", spec: Object | None = None, **series: Any) -> FederatedModel:
    """`spec`: further fields of the spec."""
    return federatedmodel.parse(
        {
            "metadata": {"name": name, "namespace": "federation", "uid": UID, "generation": 1},
            "spec": {
                "schemaName": "breast-v1",
                "initial": {"seed": 7},
                "round": {
                    "image": IMAGE,
                    "datasetName": "breast",
                    "participants": {"names": ["site-a", "site-b"]},
                    "quorum": {"min": 2},
                },
                "series": {"rounds": 3, "parameters": {"epochs": "5"}, **series},
                **(spec or {}),
                # Most tests are about other rounds.
                "evaluation": {"testRows": False, **(spec or {}).get("evaluation", {})},
            },
        }
    )


@dataclass
class World:
    """`losses`: of the models of the Train rounds, in order of their creation and then anew; None for a loss that
    nobody told. `outcomes`: of comparisons, likewise. `hospitals`: over how many each loss is. `hospitals_say`: how
    many told a verdict in a comparison, and how many of them Better, Worse and Undecided. `patients`: that the
    hospitals tell. `columns`, `schema`: digests of the next rounds that end. `created`, `made`: names of rounds and of
    versions, in order. `tasks`, `bases`: of the rounds, by name. `tests`: names of the rounds on test rows, in order.
    `opened`: those of `tests` that have asked hospitals. `ended`: Complete or Failed, by name of a round. `pinned`:
    numbers that were in spec.current. `ready`: hospitals that the hub may ask. `unseen`, `too_few_people`: of the
    verdict of a comparison that is Undecided. `asked`: by Deliver round that is over, the hospitals that it asked.
    `refusing`: the actions that the API server refuses."""

    model: FederatedModel
    losses: list[str | None] = field(default_factory=lambda: ["0.5", "0.4", "0.3"])
    outcomes: list[Outcome] = field(default_factory=lambda: ["Accepted"])
    hospitals: tuple[int, ...] = (2,)
    hospitals_say: tuple[int, int, int, int] | None = None
    patients: int | None = None
    columns: str = "sha256:" + "c" * 64
    schema: str = "sha256:" + "5" * 64
    rounds: dict[str, FederatedRound] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    tasks: dict[str, str] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    pinned: list[int] = field(default_factory=list)
    ready: set[str] = field(default_factory=lambda: {"site-a", "site-b"})
    unseen: tuple[str, ...] = ("site-b",)
    too_few_people: tuple[str, ...] = ()
    asked: dict[str, frozenset[str]] = field(default_factory=dict)
    refusing: tuple[type[CreateDelivery] | type[CreateTest], ...] = ()
    now: datetime = NOW
    _trained: list[str] = field(default_factory=list)
    _compared: list[str] = field(default_factory=list)

    @property
    def series(self) -> SeriesStatus:
        assert self.model.status.series is not None
        return self.model.status.series

    @property
    def current(self) -> int:
        """The number of the current version."""
        assert self.model.status.current is not None
        return self.versions[self.model.status.current].spec.version

    @property
    def next_start(self) -> str:
        assert self.model.status.next is not None
        return self.model.status.next.at

    def verdict(self, number: int) -> tuple[str, str, str]:
        verdict = self.versions[rounds.version_name(self.model.metadata, number)].status.verdict
        assert verdict is not None
        return verdict.outcome, verdict.reason, verdict.message

    def condition(self, kind: str) -> tuple[str, str, str]:
        shown = conditions.find(self.model.status.conditions, kind)
        assert shown is not None
        return shown.status, shown.reason, shown.message

    def observe(self) -> Observation:
        series = self.model.status.series
        if series is None:
            return Observation(model=self.model, patients=self.patients, now=self.now)
        known = series.stage in ("Comparing", "Ended")
        ended = series.stage == "Ended"
        delivery = self.rounds.get(self.model.status.delivery.round) if self.model.status.delivery else None
        looks = delivery is not None and bool(delivery.status.conditions) and deliveries.is_wanted(self.model)
        named = self.model.status.testing if testing.is_open(self.model) else None
        test = self.rounds.get(named.round) if named else None
        version = self.versions.get(named.version) if named else None
        pushed = self.model.spec.initial.pushed
        creates = test is None and version is not None and named is not None and not named.begun
        return Observation(
            model=self.model,
            round=self.rounds.get(rounds.last(series).name),
            best=self._own(model_plan.best_name(series)) if known else None,
            measuring=self._measuring(series) if ended else None,
            versions=dict(self.versions),
            rounds={name: live.metadata.uid for name in self.rounds if (live := self._own(name))} if known else {},
            gone=self._gone(known),
            pushed_gone=ended and pushed is not None and pushed not in self.versions,
            patients=self.patients,
            delivery=delivery,
            test=test,
            tested=self.rounds.get(version.spec.round_name) if creates and version else None,
            askable=self._selected() if creates else frozenset(),
            receivers=self._selected() if looks else frozenset(),
            asked=self.asked[delivery.metadata.name]
            if delivery is not None and looks and deliveries.asks_whom(self.model)
            else frozenset(),
            now=self.now,
        )

    def _own(self, name: str) -> FederatedRound | None:
        live = self.rounds.get(name)
        return live if live and rounds.controls(self.model.metadata, live.metadata) else None

    def _gone(self, known: bool) -> frozenset[str]:
        """While a series runs, the hub operator looks for the round of the current version only if it was gone."""
        ready = conditions.find(self.model.status.conditions, "Ready")
        looks = known or (ready is not None and ready.reason == "VersionRoundGone")
        candidates = [name for name in self.versions if known or name == self.model.status.current]
        return frozenset(name for name in candidates if looks and self._is_gone(self.versions[name]))

    def _is_gone(self, version: ModelVersion) -> bool:
        live = self.rounds.get(version.spec.round_name)
        return version.spec.pushed is None and (live is None or live.metadata.uid != version.spec.round_uid)

    def _measuring(self, series: SeriesStatus) -> FederatedRound | None:
        live = (self._own(name) for name in model_plan.measuring_names(series))
        return model_plan.measuring(filter(None, live), model_plan.best_name(series))

    def step(self, *, writes: int | None = None) -> Plan:
        """Plan, act, write the status. `writes`: the operator dies after so many writes."""
        self.now += timedelta(seconds=1)
        seen = self.observe()
        plan = model_plan.plan(seen)
        for number, action in enumerate(plan.actions):
            if writes == number:
                return plan
            if isinstance(action, self.refusing):
                assert isinstance(action, CreateDelivery | CreateTest)
                plan = model_plan.refused(seen, plan, action, "exceeded quota")
                self.model = replace(self.model, status=plan.status)
                return plan
            self.perform(action)
        if writes is None or writes > len(plan.actions):
            self.model = replace(self.model, status=plan.status)
            self._check_what_follows(seen, plan)
        return plan

    def _check_what_follows(self, seen: Observation, plan: Plan) -> None:
        """The operator hears nothing of its own status writes, and does not always ask the API server after one."""
        following = model_plan.plan(self.observe())
        again = requeue_after_write(seen, self.model)
        if not plan.actions and plan.requeue_after != 0 and again != 0:
            assert following.status == self.model.status
            assert not following.actions
            assert following.requeue_after == again
        known = next_look(seen, plan, self.model)
        if known is not None:
            assert model_plan.plan(known) == following

    def settle(self, most: int = 200) -> None:
        """Step until nothing changes. Rounds that are created stay as they are."""
        for _ in range(most):
            before = self.model.status, dict(self.rounds), dict(self.versions)
            plan = self.step()
            if (self.model.status, self.rounds, self.versions) == before:
                # While another object has a name, the plan looks every minute, and nothing changes.
                if plan.requeue_after in (None, model_plan.REFUSED_SECONDS):
                    return
                if self.series.stage == "Ended" and not self._tries_test_again():
                    return
                self.now += timedelta(seconds=plan.requeue_after)
        raise AssertionError("the plan does not settle")

    def _tries_test_again(self) -> bool:
        named = self.model.status.testing
        live = self.rounds.get(named.round) if named and testing.is_open(self.model) else None
        return live is not None and bool(live.status.conditions)

    def run(self, most: int = 600) -> None:
        """Let every round complete, until nothing changes."""
        for _ in range(most):
            self.settle()
            under_way = [each for each in self.rounds.values() if not each.status.conditions]
            if not under_way:
                return
            self.complete(under_way[0].metadata.name)
        raise AssertionError("the series does not end")

    def run_next(self) -> None:
        """Let the next series run, at its time."""
        self.now = max(self.now, datetime.fromisoformat(self.next_start))
        number = self.series.number
        self.run()
        assert self.series.number == number + 1

    def perform(self, action: Action) -> None:
        match action:
            case CreateRound():
                self.add(models.federated_round(self.model, action))
            case CreateDelivery():
                self.add(models.delivery(self.model, action))
            case CreateTest():
                self.add(models.test(self.model, action))
            case SuspendRound():
                live = self.rounds[action.name]
                self.rounds[action.name] = replace(live, spec=replace(live.spec, suspend=action.suspend))
            case CreateVersion():
                item = models.model_version(self.model, action)
                item["metadata"]["uid"] = f"version-{len(self.made)}"
                if action.name not in self.versions:
                    self.made.append(action.name)
                    self.versions[action.name] = modelversion.parse(item)
            case KeepRound():
                owners = tuple(OwnerReference(**_snake(each)) for each in models.kept_for(action.round, action.version))
                live = self.rounds[action.round.metadata.name]
                self.rounds[live.metadata.name] = replace(
                    live, metadata=replace(live.metadata, owner_references=owners)
                )
            case ReportVersion():
                ready = Condition(type="Ready", status="True", reason=action.reason, message=action.message)
                measured = models.measured(action.version, action.measured_by, action.verdict)
                self._replace(action.version, status=replace(measured, conditions=(ready,)))
            case ReportLoss():
                lost = Condition(type="Ready", status="False", reason=ROUND_GONE, message=action.message)
                status = replace(self.versions[action.version.metadata.name].status, conditions=(lost,))
                self._replace(action.version, status=status)
            case ReportTest():
                status = replace(self.versions[action.version.metadata.name].status, test=models.tested(action))
                self._replace(action.version, status=status)
            case OwnVersion():
                owners = tuple(OwnerReference(**_snake(each)) for each in models.owners(self.model, action))
                self._replace(action.version, metadata=replace(action.version.metadata, owner_references=owners))
            case Delete():
                self.deleted.append(action.name)
                place: dict[str, Any] = self.rounds if action.kind == federatedround.KIND else self.versions
                if action.name in place and place[action.name].metadata.uid == action.uid:
                    del place[action.name]

    def _replace(self, version: ModelVersion, **changes: Any) -> None:
        name = version.metadata.name
        self.versions[name] = replace(self.versions[name], **changes)

    def add(self, item: Object) -> None:
        name = item["metadata"]["name"]
        if name in self.rounds:
            return
        item["metadata"]["uid"] = f"round-{len(self.created)}"
        self.created.append(name)
        self.tasks[name] = item["spec"]["task"]
        self.bases[name] = (item["spec"].get("base") or {}).get("roundName", "")
        self.rounds[name] = made = federatedround.parse(item)
        if made.spec.task == "Train":
            self._trained.append(name)
        if made.spec.rows == "Test":
            self.tests.append(name)
        if made.spec.references:
            self._compared.append(name)

    def complete(self, name: str) -> None:
        """A round ends with a result. Train and Evaluate measure their base. A Deliver round has none."""
        live = self.rounds[name]
        if live.spec.task == "Deliver":
            self._end(live, "Complete", None)
            return
        result = Result(
            digest="sha256:" + "d" * 64, location="models/x", bytes=9, samples=20, metrics=self._metrics(live)
        )
        if live.spec.rows == "Test":
            self.opened.add(name)
        result = replace(result, columns_digest=self.columns, schema_digest=self.schema, verdict=self._verdict(live))
        if self.hospitals_say and live.spec.references:
            result = replace(result, hospital_verdicts=self._hospital_verdicts(live, *self.hospitals_say))
        self._end(live, "Complete", result)

    def end_with(self, name: str, result: Result) -> None:
        """A round ends with this result."""
        self._end(self.rounds[name], "Complete", result)

    def fail(self, name: str, reason: str = "QuorumNotMet", *, asked: bool = False, **lost: str) -> None:
        """`asked`: whether the round has asked hospitals. `lost`: by hospital (site_a for site-a), why the round has
        lost it."""
        self._end(self.rounds[name], "Failed", None, reason)
        failed = self.rounds[name]
        attention = tuple(
            Attention(participant=hospital, reason=cause, message=advise(cause, hospital))
            for hospital, cause in ((key.replace("_", "-"), cause) for key, cause in lost.items())
        )
        counts = Counts(
            selected=len(failed.spec.participants.names or ()),
            failed=len(attention),
            refused=sum(is_lasting(cause) for cause in lost.values()),
        )
        timeline = (Stage(DISPATCHED, to_seconds(self.now)),) if asked else ()
        status = replace(failed.status, participants=counts, attention=attention, timeline=timeline)
        self.rounds[name] = replace(failed, status=status)
        if asked and failed.spec.rows == "Test":
            self.opened.add(name)

    def edit(self, **spec: Any) -> None:
        """Somebody changes the spec."""
        self.model = replace(
            self.model,
            metadata=replace(self.model.metadata, generation=self.model.metadata.generation + 1),
            spec=replace(self.model.spec, **spec),
        )

    def change(self, **series: Any) -> None:
        """Somebody changes the series of the spec."""
        self.edit(series=replace(self.model.spec.series, **series))

    def suspend(self, value: bool) -> None:
        self.edit(suspend=value)

    def pin(self, version: int | None) -> None:
        if version is not None:
            self.pinned.append(version)
        self.edit(current=None if version is None else Pinned(version=version))

    def _selected(self) -> frozenset[str]:
        return frozenset(self.ready.intersection(self.model.spec.round.participants.names or ()))

    def _end(self, live: FederatedRound, kind: str, result: Result | None, reason: str = "Complete") -> None:
        ended = Condition(type=kind, status="True", reason=reason, last_transition_time=to_seconds(self.now))
        if live.spec.task == "Deliver":
            self.asked[live.metadata.name] = frozenset(self.ready.intersection(live.spec.participants.names or ()))
        self.ended[live.metadata.name] = kind
        status = FederatedRoundStatus(conditions=(ended,), result=result)
        self.rounds[live.metadata.name] = replace(live, status=status)

    def _metrics(self, live: FederatedRound) -> tuple[ResultMetric, ...]:
        if live.spec.task == "Statistics":
            return ()
        base = live.spec.base.name if live.spec.base else INITIAL_WEIGHTS
        loss = self.loss_of(base)
        if loss is None:
            return ()
        number = self._trained.index(base) if base in self._trained else 0
        hospitals = self.hospitals[number % len(self.hospitals)]
        rows = live.spec.rows
        return (ResultMetric(name="loss", value=loss, people=90, hospitals=hospitals, rows=rows, model=base),)

    def loss_of(self, base: str) -> str | None:
        if base in (INITIAL_WEIGHTS, self.model.spec.initial.pushed):
            return "0.69"
        return self.losses[self._trained.index(base) % len(self.losses)]

    def _hospital_verdicts(
        self, live: FederatedRound, hospitals: int, better: int, worse: int, undecided: int
    ) -> tuple[HospitalVerdicts, ...]:
        return tuple(
            HospitalVerdicts(reference=each, hospitals=hospitals, better=better, worse=worse, undecided=undecided)
            for each in live.spec.references
        )

    def _verdict(self, live: FederatedRound) -> RoundVerdict | None:
        if live.spec.gate is None:
            return None
        outcome = self.outcomes[self._compared.index(live.metadata.name) % len(self.outcomes)]
        reason = {"Accepted": "NotWorse", "Worse": "WorseThanReference", "Undecided": "TooFewSeen"}[outcome]
        reference = live.spec.references[0] if outcome == "Worse" else ""
        seen_all = outcome != "Undecided"
        return RoundVerdict(
            outcome=outcome,
            reason=reason,
            reference=reference,
            unseen=() if seen_all else self.unseen,
            too_few_people=() if seen_all else self.too_few_people,
        )


def _snake(reference: Object) -> Object:
    return {
        "api_version": reference["apiVersion"],
        "kind": reference["kind"],
        "name": reference["name"],
        "uid": reference["uid"],
        "controller": reference.get("controller", False),
    }


def started(**series: Any) -> World:
    """A model whose first round is made."""
    world = World(model(**series))
    world.settle()
    return world


WEEKLY = {"trigger": {"cron": "0 2 * * 1", "timeZone": "Europe/Berlin"}}


def trained(
    *outcomes: Any,
    losses: list[str | None] | None = None,
    rounds: int = 2,
    hospitals_say: tuple[int, int, int, int] | None = None,
    **spec: Any,
) -> World:
    """A model after its first series, and after one more for each outcome of a comparison."""
    world = World(
        model(rounds=rounds, spec={**WEEKLY, **spec}), losses or ["0.5", "0.4"], outcomes=list(outcomes) or ["Accepted"]
    )
    world.hospitals_say = hospitals_say
    world.run()
    for _ in outcomes:
        world.run_next()
    return world


def tasks(world: World) -> list[tuple[str, int]]:
    return [(each.task, each.number) for each in world.series.rounds]
