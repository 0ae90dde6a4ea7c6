"""Leaves out the numbers of single hospitals. Reports and MLflow have more readers than the hub. Pure."""

from dataclasses import replace
from typing import TypeVar

from wardround.api.federatedround import FederatedRound, Result
from wardround.api.modelversion import ModelVersionStatus, VersionTest
from wardround.cli.model_objects import ModelObjects

# A total over one hospital is that hospital's own number. A result has it only if the hospital's Site tells it.
FEWEST_HOSPITALS = 2
Measured = TypeVar("Measured", ModelVersionStatus, VersionTest, Result)


def without_single_hospitals(objects: ModelObjects) -> ModelObjects:
    """The objects without all numbers of single hospitals: totals over one, and numbers that a Site tells."""
    versions = tuple(replace(each, status=_shared_status(each.status)) for each in objects.versions)
    return replace(objects, versions=versions, rounds=tuple(map(shared_round, objects.rounds)))


def shared_round(live: FederatedRound) -> FederatedRound:
    """The round without all numbers of single hospitals."""
    result = live.status.result
    return replace(live, status=replace(live.status, result=_shared_result(result))) if result else live


def _shared_status(status: ModelVersionStatus) -> ModelVersionStatus:
    return replace(_shared(status), test=_shared(status.test) if status.test else None)


def _shared_result(result: Result) -> Result:
    differences = tuple(each for each in result.differences if each.hospitals >= FEWEST_HOSPITALS)
    return replace(_shared(result), differences=differences, hospitals=())


def _shared(numbers: Measured) -> Measured:
    metrics = tuple(each for each in numbers.metrics if each.hospitals >= FEWEST_HOSPITALS)
    # Groups do not say over how many hospitals they are. All numbers from the same sums are over the same hospitals.
    groups = numbers.calibration if metrics and metrics == numbers.metrics else ()
    return replace(numbers, metrics=metrics, calibration=groups)
