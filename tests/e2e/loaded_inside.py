"""Loads a model's folder with torch, inside the trainer image. Prints its predictions as one line of JSON.

The folder that it is given holds the folder `model`, and rows.npy. Argument: the hub's fingerprint.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch

import wardround_model
from lab.trainer_python import GIVEN


def main(fingerprint: str) -> None:
    model = wardround_model.load(f"{GIVEN}/model", hub_fingerprint=fingerprint)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(np.load(f"{GIVEN}/rows.npy")))
    try:
        refusal = ""
        wardround_model.load(f"{GIVEN}/model", hub_fingerprint="sha256:" + "0" * 64)
    except wardround_model.FolderRefused as refused:
        refusal = str(refused)
    tensors = sorted(model.state_dict())
    print(
        json.dumps(
            {"probabilities": outputs.tolist(), "features": model.features, "refusal": refusal, "tensors": tensors}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
