"""Decides which sites need fresh grants, and when the others do."""

from datetime import datetime, timedelta

from wardround.api.names import GRANTS_BYTES, GRANTS_EXPIRE
from wardround.api.times import read_time
from wardround.plans.round.types import Grant
from wardround.plans.round.upload import granted_text
from wardround.plans.round.view import View

RENEW_BEFORE = timedelta(minutes=15)


def grants(view: View) -> tuple[list[Grant], list[datetime]]:
    """Grants to make now, and when the others have to be renewed."""
    due: list[Grant] = []
    later: list[datetime] = []
    for part in view.parts:
        if not part.open:
            continue
        notes = part.task.metadata.annotations
        upload = part.task.status.upload
        expires = read_time(notes.get(GRANTS_EXPIRE, ""))
        renew = expires - RENEW_BEFORE if expires else view.seen.now
        if renew <= view.seen.now or notes.get(GRANTS_BYTES, "") != granted_text(upload):
            due.append(Grant(task=part.task, upload=upload))
        else:
            later.append(renew)
    return due, later
