"""How an Approval of a model stands, and why a task ends with it."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import HOSPITAL, NOBODY, Reason

_done = partial(Reason, owner=NOBODY, action="Nothing to do.")

APPROVALS = (
    Reason(
        name="ApprovalEnded",
        failure_class="Site",
        owner=HOSPITAL,
        meaning="The approval on which the accepted task rests has ended: a person at the hospital has withdrawn it, "
        "or its time is over.",
        action="If the hospital agrees to go on, run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at the "
        "site, and approve the model again. Then ask the round's author to apply a new round.",
    ),
    _done(name="SeriesApproved", meaning="The site accepts the tasks that have the approved terms, without asking."),
    _done(name="SeriesDenied", meaning="The site refuses all tasks of the model."),
    _done(
        name="ApprovalOver",
        meaning="A person has withdrawn this object, or its time is over. It decides about no task any more.",
    ),
    Reason(
        name="ApprovalUsedUp",
        owner=HOSPITAL,
        meaning="The site has accepted as many rounds of these terms as the Approval allows (spec.maxRounds).",
        action="If the hospital agrees to more, run `kubectl wardround approve sitetask/TASK -n SITE_NAMESPACE "
        "--model` with a task that waits, and with a larger --rounds. The rounds until now count for the new Approval "
        "too.",
    ),
    Reason(
        name="ApprovalUnreadable",
        owner=HOSPITAL,
        meaning="spec.terms is not the text of a series' terms, so the Approval decides about no task.",
        action="Delete the Approval. Make another one with `kubectl wardround approve sitetask/TASK -n SITE_NAMESPACE "
        "--model`, which writes the terms.",
    ),
)
