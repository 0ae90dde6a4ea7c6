"""Describes the training Job of a task: combines assignment, Site, Dataset and DataSchema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from wardround.api.site import Site
from wardround.api.sitetask import SiteTask
from wardround.manifests.closed import Workload
from wardround.manifests.training import ReferenceModel, TrainingJob
from wardround.plans.assignment import base_digest, reference_digests
from wardround.plans.sitetask.types import Control, ObservedDataset
from wardround.wire.assignment import Assignment
from wardround.wire.layouts import Rows
from wardround.wire.training import CONTRACT, LiveRounds, RequestedReference, RequestedTask, RoundAttempt, TaskKind

# The samples that a participant may claim if the hub sets no limit: more than any hospital has.
NO_LIMIT = 2**53 - 1


def training_job(
    site: Site,
    task: SiteTask,
    assignment: Assignment,
    dataset: ObservedDataset,
    *,
    control: Control,
    max_samples: int | None,
    live: LiveRounds,
    operator_image: str,
) -> TrainingJob:
    """The training Job of a task. Its Dataset has a DataSchema.

    Raises Refused if the hub did not sign the base or a reference.
    """
    if dataset.schema is None:
        raise ValueError(f"Dataset {assignment.dataset_name} has no DataSchema")
    return TrainingJob(
        namespace=task.metadata.namespace,
        name=task.metadata.name,
        uid=task.metadata.uid,
        round_uid=assignment.round_uid,
        round_name=assignment.round_name,
        participant=assignment.participant,
        attempt=assignment.attempt,
        task=cast(TaskKind, assignment.task),
        rows=cast(Rows, assignment.rows),
        initial=assignment.initial,
        state_round=assignment.state_round,
        operator_image=operator_image,
        trainer_image=assignment.image,
        command=assignment.command,
        references=_reference_models(assignment),
        request=requested(
            assignment,
            max_samples,
            live,
            base=base_digest(assignment, task.spec.hub_key),
            references=reference_digests(assignment, task.spec.hub_key),
        ),
        isolation=control.targets,
        isolation_seconds=control.seconds,
        link_local=site.spec.policy.link_local,
        dataset_name=assignment.dataset_name,
        dataset=dataset.spec,
        split_fingerprint=dataset.status.split_fingerprint or "",
        schema=dataset.schema,
        min_samples=site.spec.policy.min_samples,
        min_cell=site.spec.policy.min_cell,
        max_left_out=site.spec.policy.max_left_out,
        max_evaluations=site.spec.policy.max_evaluations,
        tells=site.spec.policy.tell_own_metrics,
        parameters=site.spec.policy.parameters,
        train_seconds=assignment.train_seconds,
        accelerators=assignment.resources.accelerators_per_node,
        local_sockets=assignment.resources.local_sockets,
        workload=workload(site),
    )


def _reference_models(assignment: Assignment) -> tuple[ReferenceModel, ...]:
    return tuple(
        ReferenceModel(image=each.image, command=each.command, state_round=each.state_round)
        for each in assignment.references
    )


def workload(site: Site) -> Workload:
    """What the hospital says of all its pods."""
    workload = site.spec.workload
    return Workload(
        workspace_claim=workload.workspace_claim_name,
        state_claim=workload.state_claim_name,
        limits=workload.limits,
        queue_name=workload.queue_name,
        runtime_class=workload.runtime_class_name,
        node_selector=workload.node_selector,
        tolerations=workload.tolerations,
        supplemental_groups_policy=workload.supplemental_groups_policy,
        accelerator_resource=workload.accelerator.resource_name,
    )


def requested(
    assignment: Assignment, max_samples: int | None, live: LiveRounds, *, base: str, references: Sequence[str] = ()
) -> RequestedTask:
    """WARDROUND_TASK: the part of the assignment that `prepare` needs. `base`, `references`: digests of the models."""
    return RequestedTask(
        contract=CONTRACT,
        participant=assignment.participant,
        seed=assignment.seed,
        round=RoundAttempt(assignment.round_name, assignment.attempt),
        round_uid=assignment.round_uid,
        state_round=assignment.state_round,
        base_digest=base,
        image_digest=assignment.image_digest,
        command=assignment.command,
        parameters=assignment.parameters,
        exchange=assignment.exchange,
        metrics=assignment.metrics,
        max_samples=NO_LIMIT if max_samples is None else max_samples,
        live_rounds=live,
        threads=assignment.threads,
        references=tuple(
            RequestedReference(
                base_digest=digest,
                image_digest=each.image_digest,
                command=each.command,
                parameters=each.parameters,
                state_round=each.state_round,
            )
            for each, digest in zip(assignment.references, references, strict=True)
        ),
        compression=assignment.compression,
    )
