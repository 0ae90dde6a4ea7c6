"""Why a site does not take a task, by its own policy or because it cannot trust the assignment."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import CORRECTED, EXIT_DATA, HOSPITAL, HUB, ROUND, ROUND_OR_HOSPITAL, Reason, Wait

_site = partial(Reason, failure_class="Site", places=(Place.ACCEPTED,))
# Of what the round asks for: it stays refused as long as the round's text and the hospital's policy stay as they are.
_lasting = partial(_site, lasting=True)

REFUSALS = (
    _site(
        name="AssignmentUnreadable",
        owner=HUB,
        reporters=("Courier",),
        meaning="The site refused the task: it cannot read the assignment, or the assignment has a wrong signature.",
        action="Ask the hospital for the version of its site. If the site is older than the hub, ask the hospital to "
        "upgrade the site. If the hub is older, upgrade the hub. If both have the same version, somebody has changed "
        "the assignment in the RoundTask: check who can write RoundTasks on the hub.",
    ),
    _site(
        name="AssignmentNotUnderstood",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The site refused the task: it does not know the version of the assignment, or a critical field (a "
        "field that a site has to understand).",
        action="If the hub is newer than the site, upgrade the site to the hub's version. If the hub is not newer, "
        "somebody else than the hub operator wrote this assignment: ask the hub's administrator to check who can "
        "write RoundTasks on the hub, and who can read the Secret `hub-signing-key`.",
    ),
    _site(
        name="AssignmentVersionTooLow",
        owner=HUB,
        reporters=("Courier",),
        meaning="The site refused the task: the version of the assignment is lower than "
        "policy.lowestAssignmentVersion of the Site.",
        action="If the hub is older than the site, upgrade the hub. If the hub is not older, somebody else than the "
        "hub operator wrote this assignment, because the hub operator writes only versions that the site accepts: "
        "check who can write RoundTasks on the hub, and who can read the Secret `hub-signing-key`.",
    ),
    _site(
        name="HubNotPinned",
        owner=HOSPITAL,
        places=(Place.ACCEPTED, Place.SITE),
        reporters=("Courier",),
        meaning="The hub signs with another key than the one that this site trusts (hub.fingerprint in the values of "
        "the site chart). So the site refuses the hub's tasks.",
        action="Ask the hub's administrator by telephone for the hub's fingerprint, and whether the hub has a new "
        "key. If the hub has a new key, or if this site has never accepted a task of the hub, write this "
        "fingerprint into hub.fingerprint in the values of the site chart. Predictions then refuse models that the "
        "hub has signed with its former key (ModelRefused). If neither is the case, keep hub.fingerprint, and treat "
        "the other key as an attack on the hub (docs/operations.md, Renew the hub's signing key). Never copy a "
        "fingerprint from a task.",
    ),
    _site(
        name="NotAddressee",
        owner=HUB,
        reporters=("Courier",),
        meaning="The site refused the task: the assignment is for another site, or for keys that this site had before.",
        action="Ask the hospital whether it has renewed its keys. If it has renewed them, run `kubectl wardround "
        "approve PARTICIPANT`, and then ask the round's author to apply a new round. If it has not, somebody has "
        "put the assignment of another site into this RoundTask: check who can write RoundTasks on the hub.",
    ),
    Reason(
        name="Expired",
        failure_class="Platform",
        retried=True,
        owner=ROUND,
        places=(Place.ACCEPTED,),
        reporters=("Courier",),
        meaning="The assignment expired before the site accepted the task, or before the courier sent the update.",
        action="If the round still runs, wait: the hub makes another attempt. If the round has failed, apply a new "
        "round. If the hospital needs longer to answer, raise deadlines.admissionSeconds and deadlines.totalSeconds "
        "in the new round.",
    ),
    _site(
        name="Replayed",
        owner=HUB,
        reporters=("Courier",),
        meaning="The site refused the task. Either the site has already accepted this attempt of the round or a "
        "later attempt, and a site accepts each attempt only once. Or the assignment is for another round or "
        "attempt than its RoundTask.",
        action="If you have restored the hub from a backup, or if somebody has deleted the RoundTask, ask the "
        "round's author to apply a new round. Otherwise somebody has changed the RoundTask: check who can write "
        "RoundTasks on the hub.",
    ),
    _site(
        name="AssignmentTooOld",
        owner=HUB,
        meaning="The site refused the task, because it cannot know whether it has done this task before. The site "
        "remembers only the newest 128 of the tasks that it has accepted, and this task is older.",
        action="If somebody has set the hub's clock back, correct the clock. Then ask the round's author to apply a "
        "new round.",
    ),
    _lasting(
        name="TaskNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The site refused the task. Either policy.tasks of the hospital's Site does not list this kind of "
        "task, or the round asks for more than one node or for more than 256 threads.",
        action="The round's author: Ask the hospital which kinds of tasks it allows. Set an allowed task, "
        f"resources.nodes to 1, and resources.threads to 256 or less {CORRECTED}. The hospital's administrator: If the "
        "hospital wants to allow this kind of task, add the kind to policy.tasks in the values of the site chart.",
    ),
    _lasting(
        name="DatasetNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        concerns="Offer",
        meaning="The site refused the task: policy.datasets of the hospital's Site does not let federation "
        "FEDERATION use Dataset DATASET.",
        action="The round's author: Ask the hospital which Datasets it offers. If datasetName is wrong, correct it "
        f"{CORRECTED}. The hospital's administrator: If the hospital agrees, list Dataset DATASET with federation "
        "FEDERATION in policy.datasets in the values of the site chart. Then ask the round's author to apply a new "
        "round.",
    ),
    _site(
        name="DatasetNotFound",
        owner=ROUND_OR_HOSPITAL,
        places=(Place.ACCEPTED, Place.ROUND_STALLED),
        concerns="Offer",
        meaning="The hospital offers no Dataset with the name DATASET.",
        action="The round's author: Ask the hospital which Datasets it offers. If datasetName is wrong, correct it "
        f"{CORRECTED}. The hospital's administrator: If the Dataset is missing, apply Dataset DATASET at the "
        "site, and list it with federation FEDERATION in policy.datasets in the values of the site chart.",
    ),
    _site(
        name="DatasetDiffers",
        owner=HOSPITAL,
        places=(Place.ACCEPTED, Place.ROUND_STALLED),
        concerns="Offer",
        meaning="The DataSchema of the hospital's Dataset DATASET differs from the DataSchema of the round.",
        action="At the site, run `kubectl wardround dataschema digests NAME FILE.yaml -n SITE_NAMESPACE`. NAME is "
        "spec.schemaName of Dataset DATASET, and FILE.yaml is the federation's DataSchema. The output says which "
        "fields differ. Apply the federation's DataSchema in the site's namespace, and name it in spec.schemaName "
        "of the Dataset. If the site has refused a task of the round, ask the round's author to apply a new round. "
        "If the site has refused none, the round continues by itself.",
    ),
    _lasting(
        name="ImageNotByDigest",
        owner=ROUND,
        meaning="The site refused the task: the round names its image by a tag, and a site accepts an image only by "
        "its digest.",
        action=f"Write the image as REPOSITORY@sha256:... {CORRECTED}.",
    ),
    _lasting(
        name="ImageNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        places=(Place.ACCEPTED, Place.PREDICTION_STALLED),
        meaning="The site refused the task: policy.images of the hospital's Site does not list the round's image.",
        action="The round's author: Ask the hospital which image it has reviewed. If the round names another image "
        f"or digest, correct the image {CORRECTED}. The hospital's administrator: If the hospital wants to run "
        "the round's image, review it, and add its REPOSITORY@sha256:... to policy.images in the values of the site "
        "chart. Then ask the round's author to apply a new round.",
    ),
    _lasting(
        name="CommandNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        places=(Place.ACCEPTED, Place.PREDICTION_STALLED),
        meaning="The site refused the task: policy.commands of the hospital's Site does not list the round's "
        "command, word for word.",
        action="The round's author: Compare the command with the documentation of the image. If the command is "
        f"wrong, correct it {CORRECTED}. The hospital's administrator: If the command is right, review what it "
        "runs in the round's image. Then add the command to policy.commands in the values of the site chart, "
        "without a verb such as train at its end.",
    ),
    _lasting(
        name="LocalSocketsNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The site refused the task: the round asks for IP sockets (resources.localSockets), and "
        "policy.localSockets of the hospital's Site is false.",
        action="The round's author: If the training code runs without IP sockets, set resources.localSockets to "
        f"false {CORRECTED}. The hospital's administrator: If the hospital wants to allow IP sockets, read "
        "docs/security.md, and set policy.localSockets to true in the values of the site chart. Then only the "
        "cluster's network isolates the training code.",
    ),
    _lasting(
        name="ParametersNotAllowed",
        exit_code=EXIT_DATA,
        owner=ROUND_OR_HOSPITAL,
        places=(Place.ACCEPTED, Place.PREDICTION_FAILED),
        reporters=("Pod",),
        meaning="The hospital does not allow the parameters of the training code: policy.parameters of its Site "
        "does not list a parameter's name, a value is outside the bounds there, or a parameter that it requires is "
        "not set.",
        action="The round's author: The parameter is PARAMETER. Compare its name and value with the documentation "
        f"of the image (or with the training contract). If one of them is wrong, correct it {CORRECTED}. The "
        "hospital's administrator: Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site to see every "
        "refused parameter. If the round needs them, read in docs/security.md what a parameter can reveal. Then "
        "allow them in policy.parameters in the values of the site chart.",
    ),
    _lasting(
        name="QuorumTooSmall",
        owner=ROUND,
        meaning="The site refused the task: the round's result could come from fewer hospitals than "
        "policy.minQuorum of this hospital's Site asks for. Either quorum.min of the round is lower, or the round's "
        "strategy is Krum, MultiKrum or GeometricMedian, which may use only some of the updates.",
        action="Ask the hospital for the number in policy.minQuorum of its Site. Set quorum.min to this number or more "
        f"{CORRECTED}. If the strategy is MultiKrum, set chosen in spec.aggregation.parameters to this number "
        "or more too. If the strategy is Krum or GeometricMedian, name another strategy.",
    ),
    _lasting(
        name="ReleaseNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The site refused the task: the round has release: Readers, and policy.release of the hospital's "
        "Site lets only participants get the result.",
        action="The round's author: Apply a new round, or a new FederatedModel, with release: Participants. "
        "The hospital's administrator: If people with the role wardround-model-reader may get the result too, set "
        "policy.release to Readers in the values of the site chart.",
    ),
    _lasting(
        name="PushedModelNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The site refused the task: the round starts from weights that a person has pushed to the hub, or "
        "from a model that was trained from such weights. policy.pushedModels of the hospital's Site is false.",
        action="The round's author: Apply a round or a FederatedModel that starts from no pushed weights. The "
        "hospital's administrator: If the hospital trusts the person who pushed the weights, set policy.pushedModels "
        "to true in the values of the site chart.",
    ),
    _site(
        name="NoModelsClaim",
        owner=HOSPITAL,
        places=(Place.ACCEPTED, Place.PREDICTION_STALLED),
        reporters=("Courier",),
        meaning="The site has no claim of models (models.claimName in the values of the site chart). Without this "
        "claim, the site takes no models and answers no Predictions.",
        action="If the hospital wants models, write the name of a PersistentVolumeClaim into models.claimName in "
        "the values of the site chart, and run `helm upgrade`. If it wants none, there is nothing to do.",
    ),
    _lasting(
        name="Denied",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The hospital has denied the task: either a person there has denied it, or policy.approval of its "
        "Site is Deny.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site. The message of the condition "
        "Failed says what denies the task, and how to change this. This task stays refused. If the hospital wants "
        "to take part after all, change this, and then ask the round's author for a new round.",
    ),
    _site(
        name="WaitingForApproval",
        owner=HOSPITAL,
        wait=Wait(stage="Acceptance", stalls=True),
        meaning="The task waits until a person at the hospital approves or denies it, because policy.approval of "
        "the Site is Manual.",
        action="Run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at the site. The output says what "
        "the task and its series ask for, and shows the commands to approve or to deny.",
    ),
    _site(
        name="TooManyTasks",
        owner=HOSPITAL,
        places=(Place.SITE,),
        wait=Wait(stage="Acceptance"),
        meaning="This site holds 256 open tasks, the limit. The site accepts a new task only when one of these "
        "tasks ends.",
        action="Run `kubectl get sitetasks -n SITE_NAMESPACE` at the site: the output shows what each task waits "
        "for. Approve or deny the tasks that wait for an approval. Without a decision, these tasks stay open.",
    ),
)
