"""Why a training pod fails although data and code are right: its node, its time, its network."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import (
    CLUSTER,
    EXIT_OUR_FAULT,
    EXIT_TRY_AGAIN,
    HOSPITAL,
    NETWORK,
    NEW_PREDICTION,
    Reason,
    Wait,
    Words,
)

_platform = partial(Reason, failure_class="Platform", retried=True, owner=CLUSTER)
_network = partial(Reason, failure_class="Network", retried=True, owner=NETWORK)

_PLATFORM = (
    _platform(
        name="Evicted",
        wait=Wait(stage="Start"),
        meaning="Kubernetes removed the training pod from its node before training ended.",
        action="Check whether the node lacks memory or disk, and whether somebody has drained the node. Nobody has "
        "to start the training again: Kubernetes starts another pod. If the task fails all the same, the hub makes "
        "another attempt.",
    ),
    _platform(
        name="NodeLost",
        places=(Place.PREDICTION_FAILED,),
        meaning="The node of the training pod has stopped answering, so nobody knows how training ended.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: the output names the node. Repair "
        "the node, or remove it from the cluster. Nobody has to start the training again: the hub makes another "
        "attempt.",
    ),
    _platform(
        name="StartDeadline",
        meaning="The time that the round allows was over before training began, because the training pod took so "
        "long to start.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: its events show what took so long, "
        "such as pulling an image or mounting a volume. If there was no pod, run `kubectl describe job TASK -n "
        "SITE_NAMESPACE`: the events of the Job name the cause, such as a ResourceQuota of the namespace. The hub "
        "makes another attempt.",
    ),
    _platform(
        name="QueueDeadline",
        owner=HOSPITAL,
        meaning="The task waited at the site for longer than deadlines.queueSeconds plus deadlines.startSeconds of "
        "the round: behind other tasks, or for Kueue.",
        action="If the task waited behind other tasks, raise workload.maxConcurrentTasks in the values of the site "
        "chart. If the task waited for Kueue, raise the quota of the queue in workload.queueName. The hub makes "
        "another attempt.",
    ),
    _platform(
        name="DeadlineExceeded",
        places=(Place.PREDICTION_FAILED,),
        meaning="The training pod was stopped at a deadline that is shorter than the round's: a person or a program "
        "at the site gave the pod or its Job this deadline.",
        action="Run `kubectl describe job TASK -n SITE_NAMESPACE` at the site. Find out what changes "
        "activeDeadlineSeconds of the Job or its pod (often an admission webhook), and stop this change. The hub "
        "makes another attempt.",
        at_prediction=Words(
            meaning="The pod of the Prediction has not ended in time.",
            action="The condition's message says for what the pod waited, or how long it ran. Remove the cause, "
            f"or split the file of rows. {NEW_PREDICTION}",
        ),
    ),
    _platform(
        name="StepFailed",
        wait=Wait(stage="Start"),
        meaning="The site operator could not do the next step of the task, because the API server of the hospital's "
        "cluster refused the step.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output names the step and "
        "quotes the API server. Remove the cause. The site operator tries again.",
    ),
    _platform(
        name="ClockSkew",
        wait=Wait(stage="Acceptance"),
        meaning="The clocks of hub and hospital differ: by the hospital's clock, the hub issued the task more than "
        "5 minutes in the future.",
        action="Compare the clocks of the hub and of the hospital's nodes, and correct the wrong clock. Nobody has "
        "to start the task: the site accepts it when the hospital's clock has reached the time of issue.",
    ),
    _platform(
        name="OutOfMemory",
        places=(Place.PREDICTION_FAILED,),
        meaning="A container of the training pod needed more memory than workload.limits.memory of the site chart "
        "allows.",
        action="The hub makes another attempt, which fails too as long as the limit stays. So ask the hospital's "
        "administrator to raise workload.limits.memory in the values of the site chart. Or ask the round's author "
        "for a new round with a smaller model or smaller batches.",
    ),
    _platform(
        name="IsolationUnknown",
        exit_code=EXIT_TRY_AGAIN,
        places=(Place.PREDICTION_FAILED,),
        reporters=("Pod",),
        meaning="The site operator ended training, because nothing proved any more that the training pod's network "
        "was closed: the sidecar `isolation` could not test the network.",
        action="Nobody has to act at the first time: the hub makes another attempt, up to retryLimit of the round. "
        "If this happens again, run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output "
        "names the test that failed, or says how the sidecar ended. Check the node's memory, and whether the "
        "training code uses up all ports.",
        at_prediction=Words(
            meaning="The sidecar could not test whether the network of the Prediction's pod was closed, so the pod "
            "ended.",
            action=f"The condition's message says what failed. Check the node's memory. {NEW_PREDICTION}",
        ),
    ),
    _platform(
        name="PodFailed",
        exit_code=EXIT_OUR_FAULT,
        places=(Place.PREDICTION_FAILED,),
        reporters=("Pod",),
        meaning="The training pod failed, and neither the training code nor the data is the cause.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: the output shows why the pod failed. "
        "Remove the cause. The hub makes another attempt.",
        at_prediction=Words(
            meaning="The pod of the Prediction failed. Neither the model nor the rows are the cause.",
            action=f"The condition's message says how the pod ended. Remove the cause. {NEW_PREDICTION}",
        ),
    ),
    _platform(
        name="JobNotAdmitted",
        places=(Place.PREDICTION_RECONCILING,),
        wait=Wait(stage="Start"),
        meaning="The API server of the hospital's cluster did not admit the training Job, so training has not started.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output quotes the API server. "
        "Remove the cause. Often the cause is a ResourceQuota or LimitRange of the namespace, an admission policy of "
        "the cluster, or a name that policy.datasets or policy.dataSchemas in the values of the site chart no longer "
        "lists. If the message names an unknown field, upgrade the CRDs (chart wardround-crds) with `helm upgrade`, "
        "and then the chart wardround-site to the same version. The site operator tries again.",
        at_prediction=Words(
            meaning="The site's API server did not admit the Job of the Prediction.",
            action="The condition's message quotes the API server. Remove the cause. Often the cause is a "
            "ResourceQuota or LimitRange of the namespace, or an admission policy of the cluster. The site "
            "operator tries again.",
        ),
    ),
    _platform(
        name="SiteTaskNotAdmitted",
        wait=Wait(stage="Acceptance"),
        meaning="The API server of the hospital's cluster did not admit the SiteTask, so the site has not accepted "
        "the task yet.",
        action="Run `kubectl logs deployment/site-operator -n SITE_NAMESPACE` at the site: the log quotes the API "
        "server. Remove the cause. Often the cause is a ResourceQuota of the namespace, an admission policy of the "
        "cluster, or CRDs that are older than the operator. The site operator tries again.",
    ),
    _platform(
        name="Unschedulable",
        wait=Wait(stage="Start"),
        meaning="The training pod waits, because no node of the site accepts it: no node has room, or labels or "
        "taints keep the pod away.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site: the output quotes the "
        "scheduler. If it names a taint, ask the hospital's administrator to list the taint in workload.tolerations "
        "of the site chart's values. If it names a node selector, compare workload.nodeSelector with the labels of "
        "the nodes. If nodes lack room, free nodes or accelerators, add some, or lower workload.limits. Or ask the "
        "round's author for a round with smaller resources.",
    ),
    _platform(
        name="ImagePullFailed",
        owner=HOSPITAL,
        wait=Wait(stage="Start"),
        meaning="The training pod waits, because the node cannot pull one of its images.",
        action="Run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site: its events quote the registry. Check "
        "that the nodes reach the registry, and that imagePullSecrets in the values of the site chart names a "
        "Secret for this registry.",
    ),
    _platform(
        name="WorkspaceUnusable",
        wait=Wait(stage="Transfer"),
        meaning="The courier cannot use the claim `workspace`, the volume that it shares with the training pod.",
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site: the log has the error. Often "
        "the volume (workspace.existingClaim in the values of the site chart) is full or not mounted. Remove the "
        "cause.",
    ),
    Reason(
        name="SiteSilent",
        failure_class="Platform",
        owner=HOSPITAL,
        meaning="The hub does not know how training ended at the site: deadlines.trainSeconds passed long ago, and "
        "the site has reported nothing.",
        action="Check at the site that the site operator runs, that the Site's condition HubConnected is True, and "
        "that the node of the training pod is Ready. Then ask the round's author to apply a new round.",
    ),
)
_TRANSFERS = (
    _network(
        name="FetchDeadline",
        meaning="The courier did not fetch the base model within the sum of deadlines.queueSeconds and "
        "deadlines.startSeconds.",
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
        places=(Place.PREDICTION_RECONCILING,),
        wait=Wait(stage="Start"),
        meaning="The training pod waits, because the site operator reaches neither the hub nor the Kubernetes API. "
        "To prove that the pod's network is closed, the pod must fail to reach an address that the site operator "
        "reaches at the same time.",
        action="The hospital's network administrators: Restore the site operator's access to the Kubernetes API or to "
        "the hub. One of the two is enough. The hub's network administrators: Help if the fault is in the hub's "
        "network. Nobody has to start the training pod: it then starts by itself.",
        at_prediction=Words(
            meaning="The network of the Prediction's pod counts as closed only if the pod fails to reach an "
            "address that the site operator reaches: the hub or the Kubernetes API. At present the site operator "
            "reaches neither of the two, so the Prediction waits.",
            action="The hospital's network administrators: Restore the site operator's access to the Kubernetes "
            "API or to the hub. One of the two is enough. The hub's network administrators: Help if the fault is "
            "in the hub's network. The Prediction then continues.",
        ),
    ),
)

PODS = (*_PLATFORM, *_TRANSFERS)
