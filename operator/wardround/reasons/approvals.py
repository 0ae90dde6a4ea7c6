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
        meaning="A person at the hospital had approved the task or its model. This approval has ended: a person has "
        "withdrawn it, or its time is over.",
        action="If the hospital agrees to go on, run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at the "
        "site, and approve the model again. Then ask the round's author to apply a new round.",
    ),
    _done(
        name="SeriesApproved",
        meaning="A person at the hospital has approved this series. The site accepts each "
        "task that has exactly the approved terms.",
    ),
    _done(
        name="SeriesDenied",
        meaning="A person at the hospital has denied this model. The site refuses all tasks of the model.",
    ),
    _done(
        name="ApprovalOver",
        meaning="This Approval decides about no task any more: a person has withdrawn it, or its time is over.",
    ),
    Reason(
        name="ApprovalUsedUp",
        owner=HOSPITAL,
        meaning="The Approval is used up: the site has accepted as many Train and Statistics tasks of this series as "
        "spec.maxRounds of the Approval allows.",
        action="If the hospital agrees to more rounds, find a waiting task of the model: `kubectl get sitetasks -n "
        "SITE_NAMESPACE`. Then run `kubectl wardround approve sitetask/TASK -n SITE_NAMESPACE --model` with a larger "
        "number in the option --rounds. This number includes the tasks that the site has already accepted.",
    ),
    Reason(
        name="ApprovalUnreadable",
        owner=HOSPITAL,
        meaning="The Approval decides about no task, because its spec.terms does not hold the terms of a series.",
        action="Delete the Approval. The site loses no count of rounds by this, because an Approval without readable "
        "terms covers no task. Then approve a task of the series again: `kubectl wardround approve sitetask/TASK -n "
        "SITE_NAMESPACE --model`. This command writes the terms.",
    ),
    Reason(
        name="DenialUnreadable",
        owner=HOSPITAL,
        meaning="This Approval has the verdict Deny. In its spec.terms, the site can read no model. So the site "
        "refuses all tasks of all models.",
        action="The field spec.author of this Approval names the person who denied the model: ask this person which "
        "model it was. Deny this model again, with one of its tasks: `kubectl wardround deny sitetask/TASK -n "
        "SITE_NAMESPACE --model`. If nobody knows the model, deny each model that the hospital does not want. Then "
        "withdraw the unreadable Approval: `kubectl wardround withdraw approval/NAME -n SITE_NAMESPACE`.",
    ),
)
