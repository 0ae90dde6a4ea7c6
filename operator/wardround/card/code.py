"""Decides whether the code that a Prediction names is that of its model. Pure.

The card is the word of the hub. The Prediction is the word of a person of the hospital, and the Site's policy lists the
image and the command. All have to agree before code of others sees a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from wardround.api.parameter_bounds import outside
from wardround.api.site import AllowedParameter
from wardround.card.volumes import PredictionRefused
from wardround.pod.outcome import PodError
from wardround.wire.card import CardCode, ModelCard


@dataclass(frozen=True)
class NamedCode:
    """`spec.code` of a Prediction."""

    image: str
    command: tuple[str, ...]


def needed(card: ModelCard, cause: Exception) -> str:
    """The message for a person whose Prediction lacks `spec.code`. `cause`: why our own code cannot answer."""
    return f"{cause}. {_advice(card.code)}"


def hold(card: ModelCard, named: NamedCode, allowed: Iterable[AllowedParameter]) -> None:
    """Raises PredictionRefused (CodeDiffers), and PodError (ParametersNotAllowed)."""
    code = card.code
    # By digest: a hospital may have the image in a registry of its own.
    if (_digest(code.image), code.command) != (_digest(named.image), named.command):
        raise PredictionRefused(
            "CodeDiffers", f"spec.code of the Prediction is not the code on the model's card. {_advice(code)}"
        )
    if refused := outside("Evaluate", code.parameters, allowed):
        raise PodError(
            "ParametersNotAllowed",
            f"policy.parameters of the Site does not allow {'; '.join(refused)}. The model was trained with these "
            "parameters, and its code reads them. If the hospital wants to allow them, add them to policy.parameters "
            "in the values of the site chart, and run `helm upgrade`. Then make a new Prediction",
        )


def _digest(image: str) -> str:
    return image.rpartition("@")[2]


def _advice(code: CardCode) -> str:
    if not code.image:
        return (
            "The card names no training image, because a person has pushed the model. Ask for a version that a round "
            "made"
        )
    return (
        f"The card names this code: {{image: {code.image}, command: {json.dumps(code.command)}}}. If the hospital "
        "trusts it with these rows, write it as spec.code of a new Prediction"
    )
