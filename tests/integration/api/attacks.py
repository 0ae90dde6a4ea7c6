"""All attacks on the admission policies of the training pod, by name."""

from __future__ import annotations

from tests.integration.api.container_attacks import CONTAINERS
from tests.integration.api.pod_attacks import JOB, POD
from tests.integration.api.reference_attacks import (
    REFERENCES,
)
from tests.integration.api.volume_attacks import VOLUME

JOB_ATTACKS = {attack.name: attack for attack in JOB}
ATTACKS = {f"{attack.name} ({attack.case})": attack for attack in (*POD, *CONTAINERS, *REFERENCES, *VOLUME)}
