"""What a reason is, which people own one, and the exit codes of our containers. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FailureClass = Literal["Site", "Code", "Platform", "Network"]

HOSPITAL = "the hospital's administrator"
IMAGE = "the author of the training image"
ROUND = "the round's author"
ROUND_OR_HOSPITAL = "the round's author or the hospital's administrator"
HUB = "the hub's administrator"
CLUSTER = "the administrator of the hospital's cluster"
NETWORK = "the network administrators of the hospital and the hub"
NOBODY = "nobody"

# Exit codes of our containers. The words of sysexits.h: EX_DATAERR, EX_TEMPFAIL, EX_SOFTWARE.
EXIT_CODE, EXIT_DATA, EXIT_OUR_FAULT, EXIT_TRY_AGAIN = 1, 65, 70, 75


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One word of a condition, of `status.failure` or of `status.attention`, and what it tells people.

    `failure_class`: of a task that fails for this reason; None where no task does. `exit_code`: of a container of ours
    that ends for this reason; None where none does. `retried`: whether the hub asks for another attempt when a site
    says that its task failed for this reason. `meaning` and `action` are whole sentences. They may hold the words
    PARTICIPANT, FEDERATION, DATASET, TASK, SITE_NAMESPACE and PARAMETER, for which `about` puts names.
    """

    name: str
    failure_class: FailureClass | None = None
    exit_code: int | None = None
    retried: bool = False
    owner: str
    meaning: str
    action: str

    def about(
        self,
        participant: str = "",
        federation: str = "",
        dataset: str = "",
        *,
        task: str = "",
        site_namespace: str = "",
        parameter: str = "",
    ) -> Reason:
        """The reason with these names in its texts, as far as they are known. RoundTask and SiteTask share a name."""
        names = {
            "PARTICIPANT": participant,
            "FEDERATION": federation,
            "DATASET": dataset,
            "TASK": task,
            "SITE_NAMESPACE": site_namespace,
            # The last, since it may be any word.
            "PARAMETER": parameter,
        }
        meaning, action = self.meaning, self.action
        for word, name in names.items():
            if name:
                meaning, action = meaning.replace(word, name), action.replace(word, name)
        return replace(self, meaning=meaning, action=action)

    @property
    def advice(self) -> str:
        """Owner and action. The action alone, where nobody has to act or where it names each owner itself."""
        if self.owner in (NOBODY, ROUND_OR_HOSPITAL):
            return self.action
        return f"{self.owner[0].upper()}{self.owner[1:]}: {self.action}"

    @property
    def text(self) -> str:
        """Meaning, owner and action."""
        return f"{self.meaning} {self.advice}"
