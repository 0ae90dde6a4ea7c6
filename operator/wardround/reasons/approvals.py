"""How an Approval of a model stands, and why a task ends with it."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import HOSPITAL, NOBODY, Reason

_done = partial(Reason, owner=NOBODY, action="Nothing to do.")

APPROVALS = (
    Reason(
        name="ApprovalEnded",
        failure_class="Site",
        owner=HOSPITAL,
        meaning="The approval of this task has ended: a person at the hospital has withdrawn it, or its time is over.",
        action="If the hospital wants to go on, run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at "
        "the site, and approve the model again. Then ask the round's author to apply a new round. If it does not "
        "want to go on, there is nothing to do.",
    ),
    _done(
        name="SeriesApproved",
        places=(Place.APPROVAL,),
        meaning="A person at the hospital has approved this series. The site accepts each task that asks for "
        "exactly what the person has approved.",
    ),
    _done(
        name="SeriesDenied",
        places=(Place.APPROVAL,),
        meaning="A person at the hospital has denied the model of this series, so the site refuses all its tasks.",
    ),
    _done(
        name="ApprovalOver",
        places=(Place.APPROVAL,),
        meaning="This Approval no longer applies to any task: a person has withdrawn it, or its time is over.",
    ),
    Reason(
        name="ApprovalUsedUp",
        owner=HOSPITAL,
        places=(Place.APPROVAL,),
        meaning="The site accepts no further task by this Approval: it has accepted as many Train and Statistics "
        "tasks of the series as spec.maxRounds of the Approval allows.",
        action="If the hospital agrees to more rounds, find a waiting task of the model: `kubectl get sitetasks -n "
        "SITE_NAMESPACE`. Then run `kubectl wardround approve sitetask/TASK -n SITE_NAMESPACE --model` with the "
        "option --rounds. Give it a number above spec.maxRounds: the new number also counts the tasks that the "
        "site has already "
        "accepted.",
    ),
    Reason(
        name="ApprovalUnreadable",
        owner=HOSPITAL,
        places=(Place.APPROVAL,),
        meaning="This Approval covers no task, because the site cannot read its spec.terms (what the series asks for).",
        action="Delete the Approval. No count of rounds is lost, because the site has accepted no task by this "
        "Approval. Then approve a task of the series again: `kubectl wardround approve sitetask/TASK -n "
        "SITE_NAMESPACE --model`. This command writes the terms.",
    ),
    Reason(
        name="DenialUnreadable",
        owner=HOSPITAL,
        places=(Place.APPROVAL,),
        meaning="This Approval has the verdict Deny, but the site cannot read in its spec.terms which model it "
        "denies. So the site refuses all tasks of all models.",
        action="Ask the person in spec.author of this Approval which model it was. Deny this model again, with one "
        "of its tasks: `kubectl wardround deny sitetask/TASK -n SITE_NAMESPACE --model`. If nobody knows the model, "
        "deny each model that the hospital does not want. Then withdraw the unreadable Approval: `kubectl wardround "
        "withdraw approval/NAME -n SITE_NAMESPACE`.",
    ),
)
