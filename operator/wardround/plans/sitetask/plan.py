"""Decides what a site does about one task of the hub, and in which order; does no I/O.

Level-triggered: everything is decided anew from what is observed. A crash between two actions repeats them, and
repeating is harmless.
"""

from __future__ import annotations

import dataclasses

from wardround.api import conditions
from wardround.api.sitetask import SiteTaskStatus
from wardround.api.times import sooner
from wardround.plans import approval as approvals
from wardround.plans import dataset, link_local
from wardround.plans.pod import Source
from wardround.plans.sitetask import hub, memory
from wardround.plans.sitetask.held import under_way
from wardround.plans.sitetask.rules import RULES
from wardround.plans.sitetask.stages import deadline, overdue
from wardround.plans.sitetask.state import is_accepted, is_final, needs_no_place
from wardround.plans.sitetask.status import final_status, hampered, status
from wardround.plans.sitetask.types import (
    Action,
    Change,
    CountTask,
    DeleteJob,
    DeleteTask,
    Mirror,
    Observation,
    Plan,
    TellDataset,
    TellSite,
    WakeTasks,
    WriteStatus,
)
from wardround.plans.sitetask.view import View, has_reached, known_approvals, own_record, task_key, view_of


def plan(seen: Observation) -> Plan:
    """What to do, and how the task stands."""
    return _after_the_end(seen) if is_final(seen.task) else _before_the_end(seen)


def interrupted(
    seen: Observation, planned: Plan, change: Change, words: str, *, refused: bool = False
) -> tuple[Action, ...]:
    """What is left to do after a change failed, which the operator will try again. `words` of the failure; `refused`:
    the API server did not take the object. Whatever became of the changes, the hub hears how the task stands."""
    written = dataclasses.replace(seen.task, status=planned.status)
    after = hampered(written, change, words, seen.now, refused=refused)
    messages, _ = hub.tell(seen, after, planned.assignment)
    return (*_write(seen, planned.status, after), *messages)


def _before_the_end(seen: Observation) -> Plan:
    view = view_of(seen)
    ruling = next(answer for rule in RULES if (answer := rule(view)) is not None)
    until = deadline(view, ruling)
    if until is not None and until <= seen.now:
        ruling = overdue(ruling)
    after = status(view, ruling)
    messages, requeue_after = hub.tell(seen, after, view.assignment)
    return Plan(
        status=after,
        actions=(
            *_tell_dataset(view),
            *_count(view, after),
            *_write(seen, seen.task.status, after),
            *_mirror(seen),
            *ruling.changes,
            *messages,
            *_tell_others(seen),
        ),
        requeue_after=sooner(ruling.requeue_after, *view.seconds_to(until), requeue_after),
        assignment=view.assignment,
    )


def _after_the_end(seen: Observation) -> Plan:
    """The Job stays for its logs, unless its pod would run on. memory.py says how long Job and task stay."""
    changes: tuple[Change, ...] = (*_delete_job(seen), *_delete_task(seen))
    after = final_status(seen.task, tidy=not changes)
    messages, requeue_after = hub.tell(seen, after, None)
    return Plan(
        status=after,
        actions=(
            *_write(seen, seen.task.status, after),
            *changes,
            *messages,
            *_tell_others(seen),
        ),
        requeue_after=requeue_after,
    )


def _count(view: View, after: SiteTaskStatus) -> tuple[CountTask, ...]:
    """The task counts for the Approval that covers it, before the site accepts the task, or says that an accepted task
    now rests on the Approval. A task that ends in this look rests on no Approval."""
    seen, approval, assignment = view.seen, view.acceptance.approval, view.assignment
    becomes = dataclasses.replace(seen.task, status=after)
    if not is_accepted(becomes) or is_final(becomes) or approval is None or assignment is None:
        return ()
    counted = approvals.count(approval, assignment, task_key(seen.task, assignment), known_approvals(seen))
    return (CountTask(name=approval.metadata.name, status=counted),) if counted != approval.status else ()


def _tell_others(seen: Observation) -> tuple[Action, ...]:
    """What other objects than the task say. It comes last: an object that refuses its change does not delay the end of
    the task."""
    return (*_tell_site(seen), *hub.refuse_replay(seen))


def _delete_job(seen: Observation) -> tuple[DeleteJob, ...]:
    job, task = seen.job, seen.task
    if job is None or not conditions.is_true(task.status.conditions, "Failed"):
        return ()
    running = not job.finished and not (seen.pod is not None and seen.pod.ended)
    opened = task.status.failure is not None and task.status.failure.reason == "NetworkOpen"
    return (DeleteJob(name=job.name, uid=job.uid),) if running or opened else ()


def _delete_task(seen: Observation) -> tuple[DeleteTask, ...]:
    """Nobody needs the task any more once the hub has deleted it, or knows its end and newer tasks have ended."""
    own, metadata = own_record(seen.task), seen.task.metadata
    every = (own, *seen.others)
    hub_knows = seen.mirrored is not None and is_final(seen.mirrored)
    dispensable = seen.gone or (hub_knows and own in memory.surplus(every))
    if not dispensable or not memory.may_be_forgotten(own, memory.issues(every)):
        return ()
    return (DeleteTask(name=metadata.name, uid=metadata.uid),)


def _mirror(seen: Observation) -> tuple[Mirror, ...]:
    if seen.mirrored is None:
        return ()
    there, here = seen.mirrored.spec, seen.task.spec
    same = (there.grants, there.cancel) == (here.grants, here.cancel)
    return () if same else (Mirror(grants=there.grants, cancel=there.cancel),)


def _tell_dataset(view: View) -> tuple[TellDataset, ...]:
    """What `prepare` reported about the Dataset, at the first look after it ended."""
    seen, assignment = view.seen, view.assignment
    prepare = seen.pod.step("prepare") if seen.pod else None
    if assignment is None or prepare is None or prepare.exit_code is None or has_reached(seen, "Prepared"):
        return ()
    read = seen.datasets.get(assignment.dataset_name)
    if read is None or read.schema is None or seen.job is None:
        return ()
    if seen.job.source != Source.described(read.spec, read.schema):
        return ()  # people have changed the Dataset since, or applied another one under its name
    limits = seen.job.limits
    after = dataset.plan(
        read.spec, read.schema, read.status, prepare, generation=read.generation, now=seen.now, limits=limits
    )
    return (TellDataset(name=assignment.dataset_name, status=after),) if after != read.status else ()


def _tell_site(seen: Observation) -> tuple[TellSite, ...]:
    """What the sidecar heard, once the pod's work is over."""
    watched = seen.pod.isolation if seen.pod else None
    if watched is None:
        return ()
    before = seen.site.status
    after = link_local.plan(before, watched, generation=seen.site.metadata.generation, now=seen.now)
    return (TellSite(status=after),) if after != before else ()


def _write(seen: Observation, before: SiteTaskStatus, after: SiteTaskStatus) -> tuple[WriteStatus | WakeTasks, ...]:
    """The status, and then the tasks that wait for what this one gives up: its place, its part in the memory, or its
    part in the rounds of an Approval."""
    was, becomes = (dataclasses.replace(seen.task, status=each) for each in (before, after))
    woken: tuple[str, ...] = ()
    if needs_no_place(becomes) and not needs_no_place(was):
        woken += under_way(seen.others)
    if was.status.decision is None and becomes.status.decision is not None:
        # A task that a person has approved no longer counts against the Approval for which the others wait.
        woken += tuple(each.name for each in seen.others if each.lacks_approval)
    if is_final(becomes) and not is_final(was):
        woken += memory.dispensable((own_record(becomes), *seen.others))
    names = tuple(dict.fromkeys(woken))
    return (WriteStatus(status=after), *((WakeTasks(names=names),) if names else ()))
