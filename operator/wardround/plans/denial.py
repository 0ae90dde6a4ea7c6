"""Decides whether the hospital denies a task, and says by what in words for the hospital's own people. Pure."""

from __future__ import annotations

from wardround.api.approval import Approval
from wardround.plans import terms
from wardround.wire.assignment import Assignment

STAYS = (
    "This task stays refused. To take part after all, the hospital's administrator then asks the round's author for "
    "a new round."
)


def place(assignment: Assignment) -> str:
    """The part of the work that a task asks for, whichever attempt at it this is. Another attempt at a round of a
    series is another FederatedRound, with the same number in the series and the same terms. With other terms, the hub
    asks for something else."""
    model, series = assignment.model, terms.series_terms(assignment)
    if model is None or series is None:
        return assignment.round_uid
    kind = "comparison" if assignment.references else assignment.rows
    return f"{terms.digest(terms.text(series))}/{assignment.task}/{model.round}/{kind}"


def denial(*, policy: str, denied: bool, earlier: str, approval: Approval | None) -> str:
    """What denies the task; empty if nothing does. `policy`: policy.approval of the Site. `denied`: a person has denied
    this very task. `earlier`: name of a SiteTask for an earlier attempt, which a person has denied. `approval`: the
    denial of the model."""
    if policy == "Deny":
        return (
            "policy.approval of the Site is Deny, so the site refuses all tasks. To change this, set policy.approval "
            f"to Policy or Manual in the values of the site chart. {STAYS}"
        )
    if denied:
        return (
            "A person at this hospital has denied this task. So the site refuses the task, and also further "
            f"attempts at the same round of the series. {_undo('TASK')} {STAYS}"
        )
    if earlier:
        return (
            f"The task is a further attempt at a round for which a person at this hospital has denied SiteTask "
            f"{earlier}. {_undo(earlier)} {STAYS}"
        )
    return _by_approval(approval) if approval is not None else ""


def in_place(text: str, task: str, site_namespace: str) -> str:
    """The text with these names in place of its placeholders. An empty name keeps its placeholder. The text has no
    words of the hub, which could hold a placeholder."""
    text = text.replace("SITE_NAMESPACE", site_namespace or "SITE_NAMESPACE")
    return text.replace("TASK", task or "TASK")


def _undo(task: str) -> str:
    return (
        "If the hospital wants to take further attempts at the round, run `kubectl wardround approve "
        f"sitetask/{task} -n SITE_NAMESPACE`: this also ends the denial."
    )


def _by_approval(approval: Approval) -> str:
    name = approval.metadata.name
    names_models = terms.named_models(approval.spec.terms) is not None
    model = (
        "the task's model"
        if names_models
        else "a model that the site cannot read (DenialUnreadable), so it denies all models"
    )
    return (
        f"The site refuses the task, because Approval {name} denies {model}. To end the denial, run "
        f"`kubectl wardround withdraw approval/{name} -n SITE_NAMESPACE`. {STAYS}"
    )
