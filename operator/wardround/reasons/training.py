"""Why a training pod fails: its data, its code, its node, its time."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import (
    CLUSTER,
    EXIT_CODE,
    EXIT_DATA,
    EXIT_OUR_FAULT,
    EXIT_TRY_AGAIN,
    HOSPITAL,
    IMAGE,
    NETWORK,
    ROUND,
    ROUND_OR_HOSPITAL,
    Reason,
)

_site = partial(Reason, failure_class="Site", owner=HOSPITAL)
_code = partial(Reason, failure_class="Code", owner=IMAGE)
_platform = partial(Reason, failure_class="Platform", retried=True, owner=CLUSTER)
_network = partial(Reason, failure_class="Network", retried=True, owner=NETWORK)

_DATA = (
    _site(
        name="ColumnMissing",
        exit_code=EXIT_DATA,
        meaning="The data file lacks a column that the Dataset or its DataSchema names.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names the column. Add the "
        "column to the file, or write the file's name of the column in spec.fields of Dataset DATASET (from).",
    ),
    _site(
        name="DataUnreadable",
        exit_code=EXIT_DATA,
        meaning="The data file cannot be read as its Dataset describes it.",
        action="Compare spec.path and spec.format of Dataset DATASET with the file on the volume. Run `kubectl "
        "describe sitetask TASK -n SITE_NAMESPACE` at the site for details. If the exit code is 65, the training "
        "code could not use the data. Then read the log of the training code, which the message names.",
    ),
    _platform(
        name="DataReplaced",
        exit_code=EXIT_TRY_AGAIN,
        owner=HOSPITAL,
        meaning="The data file was replaced or changed while the training pod read it.",
        action="Write a new file only while no task runs, or write it beside the old one under another name and change "
        "spec.path of Dataset DATASET. The round tries again.",
    ),
    _site(
        name="SplitKeyLost",
        exit_code=EXIT_DATA,
        meaning="The key that decides which patients are held out is missing or unusable. With another key, patients "
        "who were held out would enter training, so no row was read.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: it names the file. Restore the "
        "file, or the claim `state`, from a backup. Or accept a new split, and train new models from the beginning: "
        "delete Dataset DATASET and apply it again, or apply it under another name. Then ask the round's author to "
        "apply a new round.",
    ),
    _site(
        name="SplitKeyChanged",
        exit_code=EXIT_DATA,
        meaning="The key that decides which patients are held out is another one than before. With it, patients who "
        "were held out would enter training, so no row was read.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: it names the file. Restore the "
        "former file from a backup. Or accept a new split, and train new models from the beginning: delete Dataset "
        "DATASET and apply it again, or apply it under another name. Then ask the round's author to apply a new round.",
    ),
    _site(
        name="TooManyRowsLeftOut",
        exit_code=EXIT_DATA,
        meaning="More rows of the data file break the Dataset's DataSchema than policy.maxLeftOut of the Site allows, "
        "so no task trains on the file.",
        action="Read status.leftOut of Dataset DATASET: it counts these rows by field and reason. Correct the file or "
        "the Dataset. The command `kubectl wardround dataset check FILE.yaml FILE.csv` shows the effect. If these rows "
        "are left out on purpose, raise policy.maxLeftOut in the values of the site chart. Then ask the round's author "
        "to apply a new round.",
    ),
    _site(
        name="TooFewSamples",
        exit_code=EXIT_DATA,
        meaning="Fewer patients have usable data than the site's policy demands.",
        action="Read status.leftOut of Dataset DATASET: it counts the rows that were left out, and says why. Correct "
        "those rows, or lower minSamples or minCell in the values of the site chart. minCell cannot be lower than 11.",
    ),
    _site(
        name="NetworkOpen",
        exit_code=EXIT_TRY_AGAIN,
        meaning="The training pod could reach an address that must be closed to it.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names the address. Start the "
        "cluster's policy engine (a CNI that enforces NetworkPolicy). For IPv6 link-local, see docs/operations.md. "
        "This round does not ask the hospital again: ask the round's author to apply a new one.",
    ),
)
_OUTPUT = (
    _code(
        name="OutputMissing",
        exit_code=EXIT_CODE,
        meaning="The training code ended with exit code 0, but wrote no model or no predictions.",
        action="Write out/model.safetensors (Evaluate: out/predictions.f64) before the code exits.",
    ),
    _code(
        name="OutputNotSafetensors",
        exit_code=EXIT_CODE,
        meaning="The training code's model is not a safetensors file, or one of its tensors has another dtype than "
        "Wardround reads.",
        action="Save the model with safetensors, in F64, F32, I64, I32, U8 or BOOL. Wardround refuses pickles "
        "(torch.save).",
    ),
    _code(
        name="HalfPrecision",
        exit_code=EXIT_CODE,
        meaning="A tensor of the model is in half precision (F16 or BF16), in which an update would lose most of its "
        "digits.",
        action="Let `init` write the model in F32. The code may still compute in half precision (torch.autocast), and "
        "convert the weights when it loads and saves them.",
    ),
    _code(
        name="OutputLink",
        exit_code=EXIT_CODE,
        meaning="The training code's output is a link.",
        action="Write a regular file. Wardround refuses links in out/, because a link could point at the data.",
    ),
    _code(
        name="OutputTooLarge",
        exit_code=EXIT_CODE,
        meaning="The training code's output is larger than the base model allows.",
        action="Write the model's own tensors, and nothing else.",
    ),
    _code(
        name="TensorsDiffer",
        exit_code=EXIT_CODE,
        meaning="The output's tensors differ from the base model's in names, shapes or types.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names the tensors. Start from "
        "base/model.safetensors. Keep the names, shapes and types of its tensors, and add none. Write what the next "
        "round's training needs into state/out/.",
    ),
    _code(
        name="FrozenChanged",
        exit_code=EXIT_CODE,
        meaning="The training code changed tensors that the round froze.",
        action="Write back the base's values of tensors that match exchange.frozen, bit for bit, or let the round's "
        "author freeze other tensors in a new round.",
    ),
    _code(
        name="NotFinite",
        exit_code=EXIT_CODE,
        meaning="The model, or a prediction, contains NaN or infinity.",
        action="Training diverged. Lower the learning rate, or look for inputs that are not standardised.",
    ),
    _code(
        name="MetricsInvalid",
        exit_code=EXIT_CODE,
        meaning="The file out/metrics.json does not follow the training contract.",
        action="Write an object whose `base` is an object. Each of its values whose name the round declares has to be "
        "a finite number. A name may be absent.",
    ),
    _code(
        name="PredictionsInvalid",
        exit_code=EXIT_CODE,
        meaning="The file out/predictions.f64 or out/validation.f64 does not follow the training contract.",
        action="In an Evaluate round, write out/predictions.f64 from evaluation.parquet. In a Train round, write "
        "out/validation.f64 from validation.parquet. Write one probability between 0 and 1 for each row, in the order "
        "of the rows, as a little-endian float64 of 8 bytes.",
    ),
)
_CODE = (
    _code(
        name="TrainerFailed",
        meaning="The training code ended with an error.",
        action="Ask the hospital for the log, which stays at the site: `kubectl logs job/TASK -n SITE_NAMESPACE -c "
        "train`, or `-c init` if a first round failed while it made the model. Exit code 127 means that the image "
        "does not contain the command, 126 that the command cannot be started. The built-in trainer ends like this "
        "when its weights diverge, and when it was given no GPU for `device: cuda`. Its log says which of them.",
    ),
    _code(
        name="ParametersRefused",
        owner=ROUND,
        meaning="The training code does not know one of the round's parameters, or cannot use its value.",
        action="The parameter is PARAMETER. Compare its name and value with the training contract or with the "
        "documentation of the image, and correct it in a new round. The log of the training pod at the hospital says "
        "more (container train, or init in a first round).",
    ),
    _code(
        name="TrainDeadline",
        owner=ROUND,
        meaning="Training took longer than deadlines.trainSeconds.",
        action="Raise deadlines.trainSeconds in a new round, or let the round train less.",
    ),
)
_PLATFORM = (
    _platform(
        name="Evicted",
        meaning="Kubernetes removed the training pod from its node.",
        action="Check the node's memory and disk, and whether somebody has drained the node. The Job makes another "
        "pod, or the round tries again.",
    ),
    _platform(
        name="NodeLost",
        meaning="The node of the training pod has stopped answering, so the result of its training is unknown.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: it names the node. Repair or remove "
        "the node. The round tries again.",
    ),
    _platform(
        name="StartDeadline",
        meaning="The node did not start the containers of the training pod in time.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: its events show what took so long, "
        "such as pulling an image or mounting a volume. The round tries again.",
    ),
    _platform(
        name="QueueDeadline",
        owner=HOSPITAL,
        meaning="Other tasks of the site came first for longer than deadlines.queueSeconds plus startSeconds.",
        action="Raise workload.maxConcurrentTasks in the values of the site chart, or the quota of the site's Kueue "
        "queue. The round tries again.",
    ),
    _platform(
        name="DeadlineExceeded",
        meaning="Somebody at the site set a deadline that is not the round's, and the training pod or its Job ran "
        "longer.",
        action="Run `kubectl describe job TASK -n SITE_NAMESPACE` at the site. Look for what changes "
        "activeDeadlineSeconds there, such as an admission webhook. The round tries again.",
    ),
    _platform(
        name="StepFailed",
        meaning="The site operator could not do its next step, because the site's own API server did not accept it.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names the step and quotes the "
        "API server. The site operator tries again.",
    ),
    _platform(
        name="ClockSkew",
        meaning="The task's issue time is more than 5 minutes ahead of the hospital's clock: the clocks differ.",
        action="Compare the clocks of the hub and of the hospital's nodes, and correct the wrong one. The site "
        "accepts the task when its clock reaches the issue time.",
    ),
    _platform(
        name="OutOfMemory",
        meaning="A container of the training pod used more memory than the site allows.",
        action="Raise workload.limits.memory in the values of the site chart, or ask the author of the training image "
        "for a smaller model or smaller batches. The round tries again.",
    ),
    _platform(
        name="IsolationUnknown",
        exit_code=EXIT_TRY_AGAIN,
        meaning="The sidecar could not check whether the training pod's network was closed, so the site operator "
        "ended training.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names what could not be "
        "checked, or how the sidecar ended. If it happens again, check the node's memory, and look for training code "
        "that takes all ports. The round tries again, up to its retryLimit.",
    ),
    _platform(
        name="PodFailed",
        exit_code=EXIT_OUR_FAULT,
        meaning="The training pod failed, and not because of the training code or the data.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: it shows why. The round tries again.",
    ),
    _platform(
        name="JobNotAdmitted",
        meaning="The site's API server did not admit the training Job.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it quotes the API server. Look "
        "for a ResourceQuota or LimitRange of the namespace, an admission policy of the cluster, a Dataset that "
        "policy.datasets no longer lists, or chart, CRDs and operator that do not fit each other: chart and operator "
        "have to be of one version, and the CRDs may be newer but not older (`helm upgrade`). The site operator tries "
        "again.",
    ),
    _platform(
        name="SiteTaskNotAdmitted",
        meaning="The site's API server did not admit the SiteTask.",
        action="Read the log of the site operator: it quotes the API server. Look for a ResourceQuota of the namespace "
        "or an admission policy of the cluster, or for CRDs older than the operator. The site operator tries again.",
    ),
    _platform(
        name="Unschedulable",
        meaning="No node of the site has room for the training pod.",
        action="Free nodes or accelerators, or add some. Or ask the round's author for a round with smaller "
        "resources, or the hospital's administrator for smaller workload.limits in the values of the site chart.",
    ),
    _platform(
        name="ImagePullFailed",
        owner=HOSPITAL,
        meaning="The node cannot pull an image of the training pod.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: its events quote the registry. Check "
        "that the nodes reach the registry and that imagePullSecrets of the site chart are right.",
    ),
    _platform(
        name="WorkspaceUnusable",
        meaning="The courier cannot use the volume that it shares with the training pod.",
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site. Often the volume of the "
        "claim `workspace` (workspace.existingClaim in the values of the site chart) is full or not mounted.",
    ),
    Reason(
        name="SiteSilent",
        failure_class="Platform",
        owner=HOSPITAL,
        meaning="The site has not reported how its training ended, long after deadlines.trainSeconds.",
        action="Check at the site that the site operator runs, that the Site's condition HubConnected is True, and "
        "that the node of the training pod is Ready. Then ask the round's author to apply a new round.",
    ),
)
_TRANSFERS = (
    _network(
        name="FetchDeadline",
        meaning="The courier did not fetch the base model within deadlines.queueSeconds plus startSeconds.",
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site. If the line is slow, the round's "
        "author can raise deadlines.queueSeconds in a new round. The round tries again.",
    ),
    _network(
        name="UploadDeadline",
        meaning="The courier did not send the update before deadlines.uploadSeconds was over.",
        action="Check that the site's courier reaches the store: `kubectl logs deployment/courier -n SITE_NAMESPACE` "
        "at the site. The round tries again.",
    ),
    _network(
        name="IsolationUnproven",
        meaning="The site operator reaches neither the hub nor the Kubernetes API, so it cannot prove that the "
        "training pod's network is closed. Training waits.",
        action="Restore the site operator's access to the hub or to the Kubernetes API. The site operator then goes "
        "on without further help.",
    ),
)

_EVALUATIONS = (
    _site(
        name="EvaluationsUsedUp",
        exit_code=EXIT_DATA,
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital limits how many models are evaluated on its Dataset in 30 days, and that many have been.",
        action="The round's author: Ask the hospital when it allows the next evaluation, and then apply a new round. A "
        "model that has been evaluated there does not count again. The hospital's administrator: Run `kubectl describe "
        "dataset DATASET -n SITE_NAMESPACE`: status.evaluations has the time. To allow more, raise "
        "policy.maxEvaluations in the values of the site chart. docs/security.md says what that gives away.",
    ),
    _site(
        name="EvaluationsUnreadable",
        exit_code=EXIT_DATA,
        meaning="The hospital's count of evaluations on its Dataset cannot be read, so no model is evaluated there.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: it names the file on the claim "
        "`state`. Restore the file, or remove it. If you remove it, the count begins again at zero. Then ask the "
        "round's author to apply a new round.",
    ),
)

# What a container of our image in the training pod may say of itself. Its termination message is believed on these.
POD = frozenset(each.name for each in (*_DATA, *_EVALUATIONS, *_OUTPUT)) | {
    "ParametersNotAllowed",
    "IsolationUnknown",
    "PodFailed",
}
TRAINING = (*_DATA, *_EVALUATIONS, *_OUTPUT, *_CODE, *_PLATFORM, *_TRANSFERS)
