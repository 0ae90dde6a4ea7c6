"""Folders and variables of a Prediction's pod, which the Job and the container's own code share."""

from __future__ import annotations

from wardround.wire.mounts import RAW, ROOT

ROWS, MODELS, ANSWERS = RAW, f"{ROOT}/models", f"{ROOT}/answers"
# `UID`: of the Prediction. `VERSION`: `v` and a number, or `current`. Paths are relative to their folder.
UID = "WARDROUND_PREDICTION_UID"
MODEL, VERSION = "WARDROUND_MODEL", "WARDROUND_MODEL_VERSION"
ROWS_PATH, ANSWER_PATH = "WARDROUND_ROWS_PATH", "WARDROUND_ANSWER_PATH"
HUB_FINGERPRINT = "WARDROUND_HUB_FINGERPRINT"
CURRENT = "current"
