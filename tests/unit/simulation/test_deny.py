"""A hospital that sets policy.approval to Deny ends the task that runs there, and sends nothing of it.

The real operators and couriers play a Statistics round in virtual time.
"""

from __future__ import annotations

from pathlib import Path

from lab import demo_data
from tests.players.pods import JOB_NAME
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.ports import Object

DENYING = demo_data.HOSPITALS[0].name


def test_with_approval_deny_the_running_job_of_an_accepted_task_is_deleted() -> None:
    """The site operator keeps what it has accepted. The restarted courier refuses it, and then the task fails."""

    async def main(loop: VirtualLoop, folder: Path) -> Object:
        federation = Federation(loop, folder, OWN, 1)
        site = federation.sites[DENYING]

        def jobs() -> list[Object]:
            made = site.select("Job", SITE_NAMESPACE)
            return [each for each in made if each["metadata"]["ownerReferences"][0]["kind"] == "SiteTask"]

        def runs() -> bool:
            named = {job["metadata"]["name"] for job in jobs()}
            return any(pod["metadata"]["labels"].get(JOB_NAME) in named for pod in site.select("Pod", SITE_NAMESPACE))

        async with federation.running(demo_data.tables()):
            federation.apply(documents(OWN)[0])
            await federation.until("the pod of the task runs", runs)
            federation.set_approval(DENYING, "Deny")
            await federation.until("the Job is deleted", lambda: not jobs())
            await federation.over("statistics")
            [task] = site.select("SiteTask", SITE_NAMESPACE)
            return task

    with scratch() as folder:
        task = play(lambda loop: main(loop, Path(folder)))
    assert task["status"]["failure"]["reason"] == "Denied"
    assert "upload" not in task["status"]["courier"]
    assert "update" not in task["status"]["courier"]
