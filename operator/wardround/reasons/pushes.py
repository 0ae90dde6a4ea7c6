"""How far a ModelPush is, and why the hub keeps no model of it."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import NOBODY, PUSHER, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_pusher = partial(Reason, owner=PUSHER)

PUSHES = (
    _nobody(
        name="PushUploading",
        places=(Place.PUSH_RECONCILING,),
        meaning="The hub operator has given the person's program a key and upload addresses, and the program uploads "
        "the file.",
        action=(
            "Wait. If the program has stopped, delete the ModelPush, and push the model again (command `model push`)."
        ),
    ),
    _nobody(
        name="PushChecking",
        places=(Place.PUSH_RECONCILING,),
        meaning="The hub operator reads the uploaded file and checks it.",
        action="Wait.",
    ),
    _nobody(
        name="PushReady",
        places=(Place.PUSH_COMPLETE,),
        meaning="The hub has checked and signed the model. The ModelVersion with the name of the ModelPush keeps the "
        "model.",
        action="Nothing to do. To train the model further, name the ModelVersion in spec.initial.pushed of a "
        "FederatedModel.",
    ),
    _nobody(
        name="VersionPushed",
        places=(Place.VERSION_READY,),
        meaning="A person has pushed the ModelVersion, and the hub has its model. No round has measured this model "
        "yet.",
        action="Nothing to do.",
    ),
    _pusher(
        name="PushWithoutSchema",
        places=(Place.PUSH_FAILED,),
        meaning=(
            "The hub operator cannot use the pushed model: this namespace has no valid DataSchema with the name in "
            "spec.schemaName."
        ),
        action=(
            "Apply the DataSchema whose fields the model reads, or ask the round's author to do so. Then push the "
            "model again (command `model push`)."
        ),
    ),
    _pusher(
        name="PushNameTaken",
        places=(Place.PUSH_FAILED,),
        meaning=(
            "The hub operator cannot use the pushed model, because this namespace already has a ModelVersion with "
            "this name."
        ),
        action="Push the model again with another name (command `model push`).",
    ),
    _pusher(
        name="PushKeyUnusable",
        places=(Place.PUSH_FAILED,),
        meaning="The hub operator cannot read spec.publicKey of the ModelPush as a public key.",
        action="Delete the ModelPush. Then push the model again with the command `model push`, which makes a new key.",
    ),
    _pusher(
        name="PushAltered",
        places=(Place.PUSH_FAILED,),
        meaning="The uploaded file in the store is missing or incomplete, or it is not the file that the ModelPush "
        "names.",
        action="Push the model again (command `model push`).",
    ),
    _pusher(
        name="PushUnreadable",
        places=(Place.PUSH_FAILED,),
        meaning="The hub operator cannot use the uploaded file: it is no tensor file in canonical form "
        "(docs/contracts.md), its header is larger than 1 MiB, or a tensor has half precision (F16, BF16).",
        action="Save the model with safetensors, in F64, F32, I64, I32, U8 or BOOL. Then push again.",
    ),
    _pusher(
        name="PushNotFinite",
        places=(Place.PUSH_FAILED,),
        meaning=(
            "The hub operator cannot use the uploaded file: a tensor has a value that is not finite (NaN or infinity)."
        ),
        action="Correct the model, and push it again (command `model push`).",
    ),
    _pusher(
        name="PushDiffers",
        places=(Place.PUSH_FAILED,),
        meaning="The uploaded file does not fit the DataSchema. It has the tensor wardround.input.mean, so it is "
        "for the built-in trainer, but names, shapes or types of its tensors do not fit the DataSchema's features.",
        action="Compare the features of the model with the features of the DataSchema. Push a model that fits, or name "
        "another DataSchema.",
    ),
    Reason(
        name="PushedVersionNotFound",
        ends_series=True,
        owner=ROUND,
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="This namespace has no pushed ModelVersion with the name in base.versionName.",
        action="If nobody has pushed the model yet, push it with the command `model push`. If the name is wrong, "
        "apply a new round or FederatedModel that names a pushed ModelVersion. If a series has made the model, name "
        "in base.roundName the round that made it.",
    ),
)
