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
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the missing "
        "column. If the data file has this column under another name, write that name into `from` of the field, in "
        "spec.fields of Dataset DATASET. Otherwise add the column to the file.",
    ),
    _site(
        name="DataUnreadable",
        exit_code=EXIT_DATA,
        meaning="The training pod could not read the data file as its Dataset describes it.",
        action="Compare spec.path and spec.format of Dataset DATASET with the file on the volume. To see the error, "
        "run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site. If the error is that training code ended "
        "with exit code 65, this code could not use the data. Then read the log of the training code with the command "
        "in the error's message.",
    ),
    _platform(
        name="DataReplaced",
        exit_code=EXIT_TRY_AGAIN,
        owner=HOSPITAL,
        meaning="Somebody replaced or changed the data file while the training pod read it.",
        action="The hub makes another attempt. From now on, replace the data file only while no task runs. Or write "
        "the new file under another name, and change spec.path of Dataset DATASET.",
    ),
    _site(
        name="SplitKeyLost",
        exit_code=EXIT_DATA,
        meaning="The key of the Dataset's split is missing or unusable, so the training pod read no row. With another "
        "key, held-out patients would enter training.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the file of the "
        "key. Restore this file, or the claim `state`, from a backup, and run `kubectl wardround dataset read DATASET "
        "-n SITE_NAMESPACE`. Without a backup, accept a new split: apply the Dataset under another name, list this "
        "name in policy.datasets, and ask the round's author to train new models from the beginning. In both cases, "
        "the round's author then applies a new round.",
    ),
    _site(
        name="SplitKeyChanged",
        exit_code=EXIT_DATA,
        meaning="The key of the Dataset's split has changed, so the training pod read no row. With the new key, "
        "held-out patients would enter training.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the file of the "
        "key. Restore the former key file from a backup, and run `kubectl wardround dataset read DATASET -n "
        "SITE_NAMESPACE`. Without a backup, accept a new split: apply the Dataset under another name, list this name "
        "in policy.datasets, and ask the round's author to train new models from the beginning. In both cases, the "
        "round's author then applies a new round.",
    ),
    _site(
        name="SplitChanged",
        exit_code=EXIT_DATA,
        meaning="Somebody deleted the Dataset and applied another one under its name, with another identifier, split "
        "or key. With the new split, held-out patients would enter training, so the training pod read no row.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the changed "
        "field. Apply the Dataset with its former fields, run `kubectl wardround dataset read DATASET -n "
        "SITE_NAMESPACE`, and ask the round's author to apply a new round. Or keep the new split: apply the Dataset "
        "under another name, list this name in policy.datasets, and ask the round's author to train new models from "
        "the beginning.",
    ),
    _site(
        name="IdentifiersChanged",
        exit_code=EXIT_DATA,
        meaning="The data file no longer holds most of the patients of the reading before. Either the file writes the "
        "patients' identifiers in another way, or it is a file of other patients. The training pod refused the file, "
        "because held-out patients would enter training.",
        action="Compare the column of identifiers with the former data file. Often an export has written 1001.0 for "
        "1001, or has dropped zeros at the beginning. Export the file with the former identifiers, and run `kubectl "
        "wardround dataset read DATASET -n SITE_NAMESPACE` at the site. If the patients are really others, accept a "
        "new split: apply the Dataset under another name, list this name in policy.datasets, and ask the round's "
        "author to train new models from the beginning.",
    ),
    _site(
        name="ColumnsChanged",
        exit_code=EXIT_DATA,
        meaning="A column of the data file seems to have another unit than in an earlier reading, or the labels of the "
        "target seem to be exchanged. So the training pod refused the file.",
        action="Run `kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: the output names the columns. "
        "Compare these columns with the former data file. If the new file is wrong, export it as before, and run "
        "`kubectl wardround dataset read DATASET -n SITE_NAMESPACE`. If the hospital writes another unit from now on, "
        "set scale and offset of the field in spec.fields of the Dataset. If the hospital writes other labels from now "
        "on, set categories of the target in spec.fields. If the former file was wrong, set spec.columnsVersion of the "
        "Dataset to another number: `prepare` then forgets all columns. Then ask the round's author to apply a new "
        "round.",
    ),
    _site(
        name="TooManyRowsLeftOut",
        exit_code=EXIT_DATA,
        meaning="More rows of the data file break the Dataset's DataSchema than policy.maxLeftOut of the Site allows, "
        "so no task trains on the file.",
        action="Read status.leftOut of Dataset DATASET: it counts these rows by field and reason. Correct the file or "
        "the Dataset, and test it with `kubectl wardround dataset check FILE.yaml FILE.csv`. If the hospital agrees to "
        "leave these rows out, raise policy.maxLeftOut in the values of the site chart: the site operator then lets a "
        "pod read the file again. After that, ask the round's author to apply a new round.",
    ),
    _site(
        name="TooFewSamples",
        exit_code=EXIT_DATA,
        meaning="The data file gives fewer samples than policy.minSamples or policy.minCell of the Site asks for. The "
        "number of samples is the smallest of three numbers: valid rows, patients with valid rows, and spec.maxSamples "
        "of the Participant.",
        action="Read status.leftOut of Dataset DATASET: it counts the rows that Wardround left out, by field and "
        "reason. If these rows would be enough, correct them. If the hospital has too few patients, wait for more "
        "patients. Or lower policy.minSamples or policy.minCell in the values of the site chart: minCell cannot be "
        "lower than 11.",
    ),
    _site(
        name="NetworkOpen",
        exit_code=EXIT_TRY_AGAIN,
        meaning="The training pod could reach an address that must be closed to it.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the address. "
        "Start the cluster's policy engine (a CNI that enforces NetworkPolicy). For an IPv6 link-local address, see "
        "docs/operations.md. Then ask the round's author to apply a new round: this round does not ask the hospital "
        "again.",
    ),
)
_OUTPUT = (
    _code(
        name="OutputMissing",
        exit_code=EXIT_CODE,
        meaning="The training code ended with exit code 0, but wrote no model or no predictions.",
        action="Let the training code write its output before it ends: out/model.safetensors in a Train round, "
        "out/predictions.f64 in an Evaluate round or a Prediction.",
    ),
    _code(
        name="OutputNotSafetensors",
        exit_code=EXIT_CODE,
        meaning="The training code's model is not a safetensors file, or one of its tensors has another dtype than "
        "Wardround reads.",
        action="Let the training code save the model with safetensors, in F64, F32, I64, I32, U8 or BOOL. Wardround "
        "refuses pickles (torch.save).",
    ),
    _code(
        name="HalfPrecision",
        exit_code=EXIT_CODE,
        meaning="A tensor of the model is in half precision (F16 or BF16). In half precision, an update would lose "
        "most of its digits.",
        action="Let `init` write the model in F32. The code may still compute in half precision (torch.autocast), and "
        "convert the weights when it loads and saves them.",
    ),
    _code(
        name="OutputLink",
        exit_code=EXIT_CODE,
        meaning="The training code's output is a link.",
        action="Let the training code write a regular file. Wardround refuses links in out/, because a link could "
        "point at the data.",
    ),
    _code(
        name="OutputTooLarge",
        exit_code=EXIT_CODE,
        meaning="The training code's output is larger than the base model allows.",
        action="Let the training code write only the tensors of the model into out/model.safetensors.",
    ),
    _code(
        name="TensorsDiffer",
        exit_code=EXIT_CODE,
        meaning="The output's tensors differ from the base model's in names, shapes or types.",
        action="Let the training code keep names, shapes and types of all tensors of base/model.safetensors, and add "
        "none. To see the differences, ask the hospital to run `kubectl describe sitetask TASK -n SITE_NAMESPACE`: the "
        "output names up to 8 tensors of the base that are missing or differ, and counts added tensors. Values that "
        "the code needs in the next round belong into state/out/. Each hospital then lists the digest of the corrected "
        "image in policy.images, and the round's author applies the round under a new name.",
    ),
    _code(
        name="FrozenChanged",
        exit_code=EXIT_CODE,
        meaning="The training code changed frozen tensors: tensors that training has to leave as they are "
        "(exchange.frozen of the round, and wardround.input.*).",
        action="Let the training code write the base's values, bit for bit, for each frozen tensor. Or ask the round's "
        "author to freeze other tensors in a new round.",
    ),
    _code(
        name="NotFinite",
        exit_code=EXIT_CODE,
        meaning="The model, or a prediction, contains NaN or infinity.",
        action="Usually training has diverged. Ask the round's author for a lower learning rate, and check in the "
        "training code that all inputs are standardised.",
    ),
    _code(
        name="MetricsInvalid",
        exit_code=EXIT_CODE,
        meaning="The file out/metrics.json does not follow the training contract.",
        action="Let the training code write a JSON object with the field `base`. The value of `base` is an object that "
        "maps names of metrics to numbers. The number of each metric that the round declares has to be finite. The "
        "object may leave a metric out.",
    ),
    _code(
        name="PredictionsInvalid",
        exit_code=EXIT_CODE,
        meaning="The file out/predictions.f64 or out/validation.f64 does not follow the training contract.",
        action="Let the training code write one probability from 0 to 1 for each row, in the order of the rows, as a "
        "little-endian float64 of 8 bytes. In an Evaluate round, the code reads evaluation.parquet and writes "
        "out/predictions.f64. In a Train round, the code reads validation.parquet and writes out/validation.f64.",
    ),
)
_CODE = (
    _code(
        name="TrainerFailed",
        meaning="The training code ended with an error.",
        action="Ask the hospital for the log, which stays at the site: `kubectl logs job/TASK -n SITE_NAMESPACE -c "
        "train`. If an initial round failed while `init` made the model, the hospital uses `-c init`. Correct the "
        "error that the log shows. Each hospital then lists the digest of the corrected image in policy.images, and "
        "the round's author applies a new round. Exit code 127 means that the image does not contain the command. Exit "
        "code 126 means that the container cannot start the command. If the round uses the built-in trainer, the "
        "round's author acts: If the log says that weights became infinite or NaN, apply a new round with a smaller "
        "learningRate. If the log says that the pod has no GPU, apply a new round with `device: auto`.",
    ),
    _code(
        name="ParametersRefused",
        lasting=True,
        owner=ROUND,
        meaning="The training code does not know one of the round's parameters, or cannot use its value.",
        action="The parameter is PARAMETER. Compare its name and value with the training contract or with the "
        "documentation of the image, and correct name or value in a new round. To learn more, ask the hospital for the "
        "log of the training pod (container train, or init in an initial round).",
    ),
    _code(
        name="TrainDeadline",
        owner=ROUND,
        meaning="Training took longer than deadlines.trainSeconds.",
        action="Raise deadlines.trainSeconds in a new round, or shorten training with its parameters, such as epochs.",
    ),
)
_PLATFORM = (
    _platform(
        name="Evicted",
        meaning="Kubernetes removed the training pod from its node.",
        action="Check the memory and disk of the node, and whether somebody has drained the node. Kubernetes starts "
        "another pod. If the task fails all the same, the hub makes another attempt.",
    ),
    _platform(
        name="NodeLost",
        meaning="The node of the training pod has stopped answering, so nobody knows how training ended.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: the output names the node. Repair or "
        "remove the node. The hub makes another attempt.",
    ),
    _platform(
        name="StartDeadline",
        meaning="The containers of the training pod did not all start within the time that the round allows.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: its events show what took so long, "
        "such as pulling an image or mounting a volume. If there was no pod, run `kubectl describe job TASK -n "
        "SITE_NAMESPACE`: the events of the Job name the cause, such as a ResourceQuota of the namespace. The hub "
        "makes another attempt.",
    ),
    _platform(
        name="QueueDeadline",
        owner=HOSPITAL,
        meaning="The task waited behind other tasks of the site, or for Kueue, for longer than "
        "deadlines.queueSeconds plus deadlines.startSeconds of the round.",
        action="If the task waited behind other tasks, raise workload.maxConcurrentTasks in the values of the site "
        "chart. If the task waited for Kueue, raise the quota of the queue workload.queueName. The hub makes another "
        "attempt.",
    ),
    _platform(
        name="DeadlineExceeded",
        meaning="Somebody or something at the site gave the training pod or its Job a shorter deadline than the "
        "round's, and this deadline passed.",
        action="Run `kubectl describe job TASK -n SITE_NAMESPACE` at the site. Find out what changes "
        "activeDeadlineSeconds of the Job or its pod: often an admission webhook. The hub makes another attempt.",
    ),
    _platform(
        name="StepFailed",
        meaning="The site operator could not do the next step of the task, because the site's API server refused it.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the step and "
        "quotes the API server. Remove the cause. The site operator tries again.",
    ),
    _platform(
        name="ClockSkew",
        meaning="The clocks of the hub and the hospital differ: the hub issued the task more than 5 minutes ahead of "
        "the hospital's clock.",
        action="Compare the clocks of the hub and of the hospital's nodes, and correct the wrong clock. The site "
        "accepts the task when its own clock reaches the time at which the hub issued the task.",
    ),
    _platform(
        name="OutOfMemory",
        meaning="A container of the training pod used more memory than the site allows.",
        action="Ask the hospital's administrator to raise workload.limits.memory in the values of the site chart. Or "
        "ask the round's author for a new round with a smaller model or smaller batches. The hub makes another "
        "attempt. With the same limit, this attempt fails too.",
    ),
    _platform(
        name="IsolationUnknown",
        exit_code=EXIT_TRY_AGAIN,
        meaning="The sidecar could not test whether the training pod's network was closed, so the site operator ended "
        "training.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the test that "
        "failed, or says how the sidecar ended. If this happens again, check the node's memory, and whether the "
        "training code uses up all ports. The hub makes another attempt, up to retryLimit of the round.",
    ),
    _platform(
        name="PodFailed",
        exit_code=EXIT_OUR_FAULT,
        meaning="The training pod failed. Neither the training code nor the data is the cause.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: the output shows why the pod failed. "
        "The hub makes another attempt.",
    ),
    _platform(
        name="JobNotAdmitted",
        meaning="The site's API server did not admit the training Job.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output quotes the API server. "
        "Remove the cause. Often the cause is a ResourceQuota or LimitRange of the namespace, an admission policy of "
        "the cluster, or a Dataset that policy.datasets no longer lists. If the message names an unknown field, "
        "upgrade the CRDs (chart wardround-crds) with `helm upgrade`, and then the chart wardround-site to the same "
        "version. The site operator tries again.",
    ),
    _platform(
        name="SiteTaskNotAdmitted",
        meaning="The site's API server did not admit the SiteTask.",
        action="Run `kubectl logs deployment/site-operator -n SITE_NAMESPACE` at the site: the log quotes the API "
        "server. Remove the cause. Often the cause is a ResourceQuota of the namespace, an admission policy of the "
        "cluster, or CRDs that are older than the operator. The site operator tries again.",
    ),
    _platform(
        name="Unschedulable",
        meaning="No node of the site accepts the training pod: no node has room, or labels or taints of the nodes "
        "keep the pod away.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output quotes the scheduler. "
        "If the scheduler names a taint, ask the hospital's administrator to list the taint in workload.tolerations "
        "of the site chart's values. If the scheduler names a node selector, compare workload.nodeSelector with the "
        "labels of the nodes. If nodes lack room, free nodes or accelerators, or add some, or lower workload.limits. "
        "Or ask the round's author for a round with smaller resources.",
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
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site: the log has the error. Often the "
        "volume of the claim `workspace` (workspace.existingClaim in the values of the site chart) is full or not "
        "mounted.",
    ),
    Reason(
        name="SiteSilent",
        failure_class="Platform",
        owner=HOSPITAL,
        meaning="The site has not reported how its training ended, although deadlines.trainSeconds passed long ago.",
        action="Check at the site that the site operator runs, that the Site's condition HubConnected is True, and "
        "that the node of the training pod is Ready. Then ask the round's author to apply a new round.",
    ),
)
_TRANSFERS = (
    _network(
        name="FetchDeadline",
        meaning="The courier did not fetch the base model within deadlines.queueSeconds plus startSeconds.",
        action="Wait: the hub makes another attempt. If the next attempt fails too, run `kubectl logs "
        "deployment/courier -n SITE_NAMESPACE` at the site. If the log shows a slow network, ask the round's author "
        "for a new round with a larger deadlines.queueSeconds. If the log shows that the courier does not reach the "
        "store, restore the connection from the site to the store.",
    ),
    _network(
        name="UploadDeadline",
        meaning="The courier did not send the update within deadlines.uploadSeconds.",
        action="Wait: the hub makes another attempt. If the next attempt fails too, run `kubectl logs "
        "deployment/courier -n SITE_NAMESPACE` at the site. If the log shows that the courier does not reach the "
        "store, restore the connection from the site to the store. If the courier reaches the store, ask the round's "
        "author for a new round with a larger deadlines.uploadSeconds.",
    ),
    _network(
        name="IsolationUnproven",
        meaning="The training pod's network counts as closed only if the pod fails to reach an address that the site "
        "operator reaches: the hub or the Kubernetes API. At present the site operator reaches neither of the two, so "
        "the training pod waits.",
        action="The hospital's network administrators: Restore the site operator's access to the Kubernetes API or to "
        "the hub. One of the two is enough. The hub's network administrators: Help if the fault is in the hub's "
        "network. Nobody has to start the training pod: it then starts by itself.",
    ),
)

_EVALUATIONS = (
    _site(
        name="EvaluationsUsedUp",
        exit_code=EXIT_DATA,
        lasting=True,
        owner=ROUND_OR_HOSPITAL,
        meaning="In the last 30 days, rounds have evaluated as many models on the hospital's Dataset as "
        "policy.maxEvaluations of its Site allows.",
        action="The round's author: Ask the hospital when it allows the next evaluation, and apply a new round then. "
        "Until then, a round can still evaluate a model that has already been evaluated on the same rows. The "
        "hospital's administrator: Run `kubectl describe dataset DATASET -n SITE_NAMESPACE`: status.evaluations says "
        "when the next evaluation is allowed. To allow more, raise policy.maxEvaluations in the values of the site "
        "chart. docs/security.md says what more evaluations reveal.",
    ),
    _site(
        name="EvaluationsUnreadable",
        exit_code=EXIT_DATA,
        meaning="The training pod cannot read the hospital's count of evaluations on the Dataset, so it evaluates no "
        "model.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the file of the "
        "count on the claim `state`. Restore this file from a backup, or remove it. If you remove it, the count "
        "begins again at zero. Then ask the round's author to apply a new round.",
    ),
)

# What a container of our image in the training pod may say of itself. Its termination message is believed on these.
POD = frozenset(each.name for each in (*_DATA, *_EVALUATIONS, *_OUTPUT)) | {
    "ParametersNotAllowed",
    "IsolationUnknown",
    "PodFailed",
}
TRAINING = (*_DATA, *_EVALUATIONS, *_OUTPUT, *_CODE, *_PLATFORM, *_TRANSFERS)
