"""Explains what a person asks for once: a ModelTransfer, a ModelPush or a Prediction. Pure, as explain.py.

Each ends as Complete or Failed, and never changes after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from wardround.api import modelpush, modeltransfer, prediction
from wardround.api.conditions import Condition, find_true
from wardround.api.meta import Meta
from wardround.api.modelpush import ModelPush
from wardround.api.modeltransfer import ModelTransfer
from wardround.api.prediction import Prediction
from wardround.api.times import to_seconds
from wardround.cli.explain import Explanation
from wardround.cli.findings import Finding
from wardround.cli.objects import Object, created, read, seconds
from wardround.plans.request import expires
from wardround.reasons.predictions import at_a_prediction
from wardround.reasons.registry import reason_for

Request = ModelTransfer | ModelPush | Prediction


@dataclass(frozen=True)
class _Asked:
    """`dataset`: the Dataset that the request names. `expires`: when the hub operator deletes the request."""

    kind: str
    request: Request
    dataset: str = ""
    expires: datetime | None = None

    @property
    def metadata(self) -> Meta:
        return self.request.metadata

    @property
    def name(self) -> str:
        return f"{self.kind} {self.metadata.namespace}/{self.metadata.name}"

    def condition(self, kind: str) -> Condition | None:
        """The condition, if it is True."""
        return find_true(self.request.status.conditions, kind)


def _transfer(item: Object) -> _Asked:
    asked = read(modeltransfer.parse, item)
    return _Asked(modeltransfer.KIND, asked, expires=expires(asked))


def _push(item: Object) -> _Asked:
    asked = read(modelpush.parse, item)
    return _Asked(modelpush.KIND, asked, expires=expires(asked))


def _prediction(item: Object) -> _Asked:
    asked = read(prediction.parse, item)
    return _Asked(prediction.KIND, asked, dataset=asked.spec.dataset_name)


KINDS: Mapping[str, Callable[[Object], _Asked]] = MappingProxyType(
    {modeltransfer.KIND: _transfer, modelpush.KIND: _push, prediction.KIND: _prediction}
)


def explain_request(item: Object, now: datetime) -> Explanation:
    """An object of one of KINDS. Raises codec.Malformed."""
    asked = KINDS[item["kind"]](item)
    for kind, verb in (("Complete", "is complete"), ("Failed", "has failed"), ("Stalled", "waits for a person")):
        if known := asked.condition(kind):
            return Explanation(f"{asked.name} {verb}: {known.reason}.{_end(asked)}", (_finding(asked, known),))
    age = f" for {seconds((now - begun).total_seconds())}" if (begun := created(asked.metadata)) else ""
    if known := asked.condition("Reconciling"):
        return Explanation(f"{asked.name} runs{age}: {known.reason}.{_end(asked)}", (_finding(asked, known),))
    return Explanation(f"{asked.name} is new{age}: no operator has looked at the object yet.{_end(asked)}", ())


def _end(asked: _Asked) -> str:
    return f" The hub operator deletes the {asked.kind} at {to_seconds(asked.expires)}." if asked.expires else ""


def _finding(asked: _Asked, known: Condition) -> Finding:
    namespace = asked.metadata.namespace
    # The namespace of a Prediction is the hospital's own, and that of the others is the federation.
    at_site = asked.kind == prediction.KIND
    reason = reason_for(known.reason)
    advice = (at_a_prediction(reason) if at_site else reason).about(
        dataset=asked.dataset,
        federation="" if at_site else namespace,
        site_namespace=namespace if at_site else "",
    )
    return Finding(asked.kind, known.reason, advice, known.message)
