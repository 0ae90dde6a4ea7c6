"""Names and labels of the objects that Wardround makes. They derive from the round, so a restart finds the objects."""

import hashlib
import re

# The form of UIDs of every API server. A UID must match before it becomes part of a path.
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

ROUND_UID = "wardround.io/round-uid"
ROUND = "wardround.io/round"
PARTICIPANT = "wardround.io/participant"
ATTEMPT = "wardround.io/attempt"
ROLE = "wardround.io/role"
BASE_UID = "wardround.io/base-uid"  # label of a RoundTask: UID of the base round
REFERENCE_UIDS = ("wardround.io/reference1-uid", "wardround.io/reference2-uid")  # labels of a RoundTask: UIDs of rounds
TASK_UID = "wardround.io/task-uid"
MODEL_UID = "wardround.io/model-uid"  # label of the rounds and versions of a FederatedModel
SWEEP = "wardround.io/sweep"  # label of the FederatedModels of a sweep: name of the model in the person's file
DATASET = "wardround.io/dataset"
SCHEMA = "wardround.io/schema"
PREDICTION = "wardround.io/prediction"
# Annotation on a FederatedModel: a person asks for its next series by another value.
BEGIN = "wardround.io/begin"
# Annotation on a Dataset: a person asks for a reading by another value. The Job of a reading copies it, and says of
# which generation and which schema of the Dataset it is.
READ = "wardround.io/read"
GENERATION = "wardround.io/generation"
SCHEMA_DIGEST = "wardround.io/schema-digest"
# Annotation on the result of a deleted round: UIDs of the rounds that may still start from it.
KEPT_FOR = "wardround.io/kept-for"
# Annotation on the emptied Secret `round-<uid>` of a round that is over: its keys and updates are deleted.
CLEANED_UP = "wardround.io/cleaned-up"
# Annotation on the emptied Secret of a round that is over or deleted: the time until which grants let sites upload. The
# hub operator keeps the Secret until then.
PUTS_UNTIL = "wardround.io/puts-until"
# Annotations of a RoundTask: why the hub cancelled it; since when the API server refuses the next attempt, and its
# words; until when the sealed grants hold, and for how many bytes.
CANCELLED = "wardround.io/cancelled"
REFUSED = "wardround.io/refused"
GRANTS_EXPIRE = "wardround.io/grants-expire"
GRANTS_BYTES = "wardround.io/grants-bytes"
# Annotation on the Secret `round-<uid>`: numbers of the aggregations of which there may be a Secret and a Job. From the
# second try on, the round's entry in the register has them too.
AGGREGATIONS = "wardround.io/aggregations"
# Annotation on the Secret of an aggregation that began early: the pages of its list, and marks of the updates on them.
LISTED = "wardround.io/listed"
# Annotation on the Secret of an aggregation: how many tries before it failed, those not counted that the store ended.
FAILURES = "wardround.io/failures"
# Annotation on the Secret of an aggregation: the attempts whose updates it combines, as `participant/attempt`. On the
# Secret of one that began early, it is there once the round has closed.
GIVEN = "wardround.io/given"
# Annotation on the Secret of an aggregation that began at closing: the other attempts that aggregations before it had.
GIVEN_EARLIER = "wardround.io/given-earlier"
# Annotation on the Secret of an aggregation that began at closing: when the hub operator had made the Job. Without the
# Job, somebody has then deleted it.
MADE = "wardround.io/made"
# On the Secret of a pushed model, and on the entry of the push in the register: the name of the ModelPush and the
# ModelVersion, and `namespace/name` as an annotation.
PUSH = "wardround.io/push"
PUSH_UID = "wardround.io/push-uid"
PUSH_REF = "wardround.io/push-ref"
ROUND_REF = "wardround.io/round-ref"  # annotation: the full `namespace/name`, since the label may be cut

ROLE_AGGREGATION = "aggregation"
ROLE_TRAINING = "training"

HUB_SIGNING_KEY = "hub-signing-key"
HUB_CONFIG_MAP = "wardround-hub"
COURIER_KEYS = "courier-keys"
HUB_CREDENTIALS = "hub-credentials"
SITE = "site"
SITE_ACCOUNT = "site"  # service account of a hospital, in its namespace on the hub

USER = 65532


def short(text: str) -> str:
    """Eight hexadecimal digits that stand for a UID or another text in a name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def task_name(round_name: str, round_uid: str, attempt: int) -> str:
    """The name of a RoundTask, its SiteTask and its Job. A round's name that is cut must not end in a separator."""
    return f"{round_name[:40].rstrip('-.')}-{short(round_uid)}-a{attempt}"


def reading_name(dataset_uid: str) -> str:
    """The name of the Job that reads a Dataset."""
    return f"read-{dataset_uid}"


def prediction_name(prediction_uid: str) -> str:
    """The name of the Job of a Prediction."""
    return f"predict-{prediction_uid}"


def round_secret(round_uid: str) -> str:
    return f"round-{round_uid}"


def model_secret(round_uid: str) -> str:
    return f"model-{round_uid}"


def aggregation_name(round_uid: str, number: int) -> str:
    """The name of the Job and the Secret of a round's aggregation. `number` counts the aggregations from 1. The
    one that begins while the round collects has 0."""
    return f"aggregate-{short(round_uid)}-{number}"


def register_entry(uid: str) -> str:
    """The name of the entry of a round or a push in the register of the hub. An admission policy of the hub chart lets
    the hub operator change and delete ConfigMaps whose names begin so."""
    return f"register-{uid}"


def models_prefix(round_uid: str) -> str:
    return f"models/{round_uid}/"


def model_location(round_uid: str, number: int) -> str:
    return f"{models_prefix(round_uid)}{number}"


def moment_location(round_uid: str, number: int, index: int) -> str:
    """Where a moment of a server optimizer lies, beside the result."""
    return f"{model_location(round_uid, number)}/moment-{index}"


def updates_prefix(round_uid: str) -> str:
    return f"updates/{round_uid}/"


def update_location(round_uid: str, attempt: int, participant: str) -> str:
    return f"updates/{round_uid}/{attempt}/{participant}"


def list_location(round_uid: str, number: int, nonce: bytes) -> str:
    """Where the list of updates for an aggregation is. `nonce`: of one try to store it."""
    return f"{lists_prefix(round_uid, number)}{nonce.hex()}"


def lists_prefix(round_uid: str, number: int) -> str:
    return f"updates/{round_uid}/lists/{number}-"


def round_ref(namespace: str, name: str) -> dict[str, str]:
    return {ROUND_REF: f"{namespace}/{name}"}


def label_value(text: str) -> str:
    """The name, cut to a valid label value: at most 63 characters, alphanumeric at the end."""
    return text[:63].rstrip("-_.")


def round_labels(round_name: str, round_uid: str) -> dict[str, str]:
    return {ROUND: label_value(round_name), ROUND_UID: round_uid}


def task_labels(round_name: str, round_uid: str, participant: str, attempt: int) -> dict[str, str]:
    return {**round_labels(round_name, round_uid), PARTICIPANT: participant, ATTEMPT: str(attempt)}
