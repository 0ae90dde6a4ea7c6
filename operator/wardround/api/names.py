"""Names and labels of what Wardround makes, all derived from the round, so that a restart finds them again."""

import hashlib
import re

# What every API server gives its objects. Where a UID becomes part of a path, it is compared with this first.
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

ROUND_UID = "wardround.io/round-uid"
ROUND = "wardround.io/round"
PARTICIPANT = "wardround.io/participant"
ATTEMPT = "wardround.io/attempt"
ROLE = "wardround.io/role"
BASE_UID = "wardround.io/base-uid"  # of a RoundTask: of the round whose result its own round starts from
TASK_UID = "wardround.io/task-uid"
DATASET = "wardround.io/dataset"
# Annotation of the result of a round that was deleted: UIDs of the rounds that may start from it.
KEPT_FOR = "wardround.io/kept-for"
# Annotation of the empty Secret `round-<uid>` of a round that is over: keys and updates are deleted.
CLEANED_UP = "wardround.io/cleaned-up"
# Annotation of the empty Secret by which a sweep of a deleted round goes on: until when sites can put objects.
PUTS_UNTIL = "wardround.io/puts-until"
ROUND_REF = "wardround.io/round-ref"  # annotation: `namespace/name`, whole, where the label may be cut

ROLE_OPERATOR = "operator"
ROLE_COURIER = "courier"
ROLE_STORE = "store"
ROLE_AGGREGATION = "aggregation"
ROLE_TRAINING = "training"

HUB_SIGNING_KEY = "hub-signing-key"
HUB_CONFIG_MAP = "wardround-hub"
COURIER_KEYS = "courier-keys"
HUB_CREDENTIALS = "hub-credentials"
SITE = "site"
SITE_ACCOUNT = "site"  # service account of a hospital, in its namespace on the hub
BUCKET = "wardround"

USER = 65532


def short(uid: str) -> str:
    """Eight hexadecimal digits that stand for a UID in a name."""
    return hashlib.sha256(uid.encode()).hexdigest()[:8]


def task_name(round_name: str, round_uid: str, attempt: int) -> str:
    """Of a RoundTask, its SiteTask and its Job. Cut to 40 characters, the round's name must not end in a separator."""
    return f"{round_name[:40].rstrip('-.')}-{short(round_uid)}-a{attempt}"


def round_secret(round_uid: str) -> str:
    return f"round-{round_uid}"


def model_secret(round_uid: str) -> str:
    return f"model-{round_uid}"


def aggregation_name(round_uid: str, number: int) -> str:
    """Of the Job and the Secret of a round's aggregation number `number`, from 1."""
    return f"aggregate-{short(round_uid)}-{number}"


def model_location(round_uid: str, number: int) -> str:
    return f"models/{round_uid}/{number}"


def updates_prefix(round_uid: str) -> str:
    return f"updates/{round_uid}/"


def update_location(round_uid: str, attempt: int, participant: str) -> str:
    return f"updates/{round_uid}/{attempt}/{participant}"


def round_ref(namespace: str, name: str) -> dict[str, str]:
    return {ROUND_REF: f"{namespace}/{name}"}


def label_value(text: str) -> str:
    """A name as a label value: at most 63 characters, alphanumeric at the end."""
    return text[:63].rstrip("-_.")


def round_labels(round_name: str, round_uid: str) -> dict[str, str]:
    return {ROUND: label_value(round_name), ROUND_UID: round_uid}


def task_labels(round_name: str, round_uid: str, participant: str, attempt: int) -> dict[str, str]:
    return {**round_labels(round_name, round_uid), PARTICIPANT: participant, ATTEMPT: str(attempt)}
