"""Why a site does not take a task, by its own policy or because it cannot trust the assignment."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import EXIT_DATA, HOSPITAL, HUB, ROUND, ROUND_OR_HOSPITAL, Reason

_site = partial(Reason, failure_class="Site")
# Of what the round asks for: it stays refused as long as the round's text and the hospital's policy stay as they are.
_lasting = partial(_site, lasting=True)

REFUSALS = (
    _site(
        name="AssignmentUnreadable",
        owner=HUB,
        meaning="The site cannot read the assignment, or the pinned key of the hub has not signed it.",
        action="Ask the hospital for the version of its site. If the site is older than the hub, ask the hospital to "
        "upgrade the site. If the hub is older, upgrade the hub. If both have the same version, somebody has changed "
        "the assignment in the RoundTask: check who can write RoundTasks on the hub.",
    ),
    _site(
        name="AssignmentNotUnderstood",
        owner=HOSPITAL,
        meaning="The assignment has a version that this site does not know. Or the assignment has a critical field (a "
        "field that a site has to understand) that this site does not know.",
        action="If the hub is newer than the site, upgrade the site to the hub's version. Otherwise somebody else than "
        "the hub operator has written this assignment: ask the hub's administrator to check who can write RoundTasks "
        "on the hub, and who can read the Secret `hub-signing-key`.",
    ),
    _site(
        name="AssignmentVersionTooLow",
        owner=HUB,
        meaning="The version of the assignment is lower than policy.lowestAssignmentVersion of the Site.",
        action="Upgrade the hub if the hub is older than the site. Otherwise somebody else than the hub operator has "
        "written this assignment, because the hub operator writes only versions that the site accepts: check who can "
        "write RoundTasks on the hub, and who can read the Secret `hub-signing-key`.",
    ),
    _site(
        name="HubNotPinned",
        owner=HOSPITAL,
        meaning="The hub signs with another key than the one that this site has pinned.",
        action="Ask the hub's administrator by telephone for the hub's fingerprint, and whether the hub has a new key. "
        "If the hub has a new key, or if this site has never accepted a task of the hub, write this fingerprint into "
        "hub.fingerprint in the values of the site chart. Otherwise keep the old hub.fingerprint, and treat the other "
        "key as an attack on the hub (docs/operations.md, Renew the hub's signing key). Never copy a fingerprint from "
        "a task. After a change of hub.fingerprint, Predictions refuse models that the hub has signed with the hub's "
        "former key (ModelRefused).",
    ),
    _site(
        name="NotAddressee",
        owner=HUB,
        meaning="The assignment is for another site, or for older keys of this site.",
        action="Ask the hospital whether it has renewed its keys. If it has, run `kubectl wardround approve "
        "PARTICIPANT`, and then ask the round's author to apply a new round. If it has not, somebody has put the "
        "assignment of another site into this RoundTask: check who can write RoundTasks on the hub.",
    ),
    Reason(
        name="Expired",
        failure_class="Platform",
        retried=True,
        owner=ROUND,
        meaning="The assignment expired before the site accepted the task, or before the courier sent the update.",
        action="Do nothing while the round runs: the hub makes another attempt. If the round has failed, apply a new "
        "round. If the hospital needs longer to answer, raise deadlines.admissionSeconds and deadlines.totalSeconds "
        "of the new round.",
    ),
    _site(
        name="Replayed",
        owner=HUB,
        meaning="The site has already accepted this attempt of the round, or a later attempt. Or the assignment is for "
        "another round or attempt than its RoundTask. A site accepts each attempt only once.",
        action="If somebody has restored the hub from a backup, or has deleted the RoundTask, ask the round's author "
        "to apply a new round. Otherwise somebody has changed the RoundTask: check who can write RoundTasks on the "
        "hub.",
    ),
    _site(
        name="AssignmentTooOld",
        owner=HUB,
        meaning="The site has accepted 128 tasks that the hub issued later than this task. The site does not remember "
        "tasks that are older than these 128. So the site cannot know whether it has already done this task, and "
        "refuses the task.",
        action="Ask the round's author to apply a new round. If somebody has set the hub's clock back, correct that "
        "clock first.",
    ),
    _lasting(
        name="TaskNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's policy does not allow this kind of task, or the round asks for more than one node or "
        "for more than 256 threads.",
        action="The round's author: Ask the hospital which tasks it allows. In a new round, name an allowed task, set "
        "resources.nodes to 1, and set resources.threads to 256 or less. The hospital's administrator, if the hospital "
        "wants to allow this kind of task: Add it to policy.tasks in the values of the site chart.",
    ),
    _lasting(
        name="DatasetNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's policy does not let federation FEDERATION use Dataset DATASET.",
        action="The round's author: Compare datasetName with the Datasets that the hospital offers, and correct "
        "datasetName in a new round. The hospital's administrator, if the hospital agrees: List Dataset DATASET with "
        "federation FEDERATION in policy.datasets in the values of the site chart. Then the round's author applies a "
        "new round.",
    ),
    _site(
        name="DatasetNotFound",
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital offers no Dataset DATASET.",
        action="The round's author: Compare datasetName with the Datasets that the hospital offers, and correct "
        "datasetName in a new round. The hospital's administrator: Apply Dataset DATASET at the site, and list it "
        "with federation FEDERATION in policy.datasets in the values of the site chart.",
    ),
    _site(
        name="DatasetDiffers",
        owner=HOSPITAL,
        meaning="The DataSchema of the hospital's Dataset DATASET differs from the DataSchema of the round.",
        action="At the site, compare the DataSchema of the Dataset with the federation's file FILE.yaml: `kubectl "
        "wardround dataschema digests NAME FILE.yaml -n SITE_NAMESPACE`. NAME is spec.schemaName of the Dataset. The "
        "output says which fields differ. Apply the federation's DataSchema in the site's namespace, and name it in "
        "spec.schemaName of Dataset DATASET. If the site has refused a task of the round, ask the round's author to "
        "apply a new round. If it has not, the round continues by itself.",
    ),
    _lasting(
        name="ImageNotByDigest",
        owner=ROUND,
        meaning="The round names its image by a tag. A site accepts only an image that is named by its digest.",
        action="Write the image as REPOSITORY@sha256:... in a new round.",
    ),
    _lasting(
        name="ImageNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round's image is not in the hospital's policy.images.",
        action="The round's author: Compare the image and its digest with the image that the hospital has reviewed, "
        "and correct the image in a new round. The hospital's administrator: Review the image, and add its "
        "REPOSITORY@sha256:... to policy.images in the values of the site chart.",
    ),
    _lasting(
        name="CommandNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="policy.commands of the hospital's Site does not list the round's command, word for word.",
        action="The round's author: Compare the command with the command in the image's documentation, and correct it "
        "in a new round. The hospital's administrator: Review what the command runs in the round's image. Then add the "
        "round's command to policy.commands in the values of the site chart. The command has no verb such as train at "
        "its end.",
    ),
    _lasting(
        name="LocalSocketsNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round asks for IP sockets (resources.localSockets), and the hospital's policy does not allow "
        "them.",
        action="The round's author: If the training code runs without IP sockets, set resources.localSockets to false "
        "in a new round. The hospital's administrator: With policy.localSockets: true in the values of the site chart, "
        "only the cluster's network isolates the training code. Read docs/security.md before you set this field.",
    ),
    _lasting(
        name="ParametersNotAllowed",
        exit_code=EXIT_DATA,
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's policy does not allow one of the round's parameters: policy.parameters does not list "
        "the parameter's name, the value is outside the bounds in policy.parameters, or the round does not set a "
        "parameter that policy.parameters requires.",
        action="The round's author: The parameter is PARAMETER. Compare its name with the training contract or with "
        "the documentation of the image, and correct name or value in a new round. The hospital's administrator: To "
        "see every refused parameter, run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site. If the round "
        "needs the parameter, read in docs/security.md what a parameter can reveal. Then allow it in policy.parameters "
        "in the values of the site chart.",
    ),
    _lasting(
        name="QuorumTooSmall",
        owner=ROUND,
        meaning="The result of the round may come from fewer hospitals than policy.minQuorum of this hospital's Site. "
        "Either quorum.min of the round is lower than policy.minQuorum, or the round's strategy is Krum, MultiKrum or "
        "GeometricMedian, which may combine only some of the updates.",
        action="Ask the hospital for its policy.minQuorum. In a new round, set quorum.min to this number or more. With "
        "MultiKrum, set the parameter chosen to this number or more too. Instead of Krum or GeometricMedian, name "
        "another strategy.",
    ),
    _lasting(
        name="ReleaseNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round's result may go to readers on the hub (release: Readers), but the hospital's policy.release "
        "lets only participants get the result.",
        action="The round's author: Apply a new round with release: Participants. The hospital's administrator: If the "
        "hospital agrees, set policy.release to Readers in the values of the site chart.",
    ),
    _lasting(
        name="PushedModelNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round starts from weights that a person has pushed to the hub, or from a model that was trained "
        "from pushed weights. But policy.pushedModels of the hospital's Site is false.",
        action="The round's author: Apply a round or a FederatedModel that starts from no pushed weights. The "
        "hospital's administrator: If the hospital trusts the person who pushed the weights, set policy.pushedModels "
        "to true in the values of the site chart.",
    ),
    _site(
        name="NoModelsClaim",
        owner=HOSPITAL,
        meaning="The site has no claim of models (models.claimName in the values of the site chart). Without this "
        "claim, the site takes no models and answers no Predictions.",
        action="If the hospital wants models, write the name of a PersistentVolumeClaim into models.claimName in the "
        "values of the site chart, and run `helm upgrade`.",
    ),
    _lasting(
        name="Denied",
        owner=HOSPITAL,
        meaning="The hospital has denied the task: a person there has decided so, or the policy of its Site does.",
        action="Run `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site. The message of the condition "
        "Failed says what denies the task, and how to change this. A refused task stays refused: to take part after "
        "all, then ask the round's author for a new round.",
    ),
    _site(
        name="WaitingForApproval",
        owner=HOSPITAL,
        meaning="The task waits until a person at the hospital approves it, because policy.approval of the Site is "
        "Manual.",
        action="Run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at the site. The output says what the "
        "task and its series ask for, and shows the commands that approve or deny the task.",
    ),
    _site(
        name="TooManyTasks",
        owner=HOSPITAL,
        meaning="The site holds 256 open tasks, the limit. The site accepts a new task only when one of these tasks "
        "ends.",
        action="Run `kubectl get sitetasks -n SITE_NAMESPACE` at the site: the output shows what each task waits for. "
        "If tasks wait for an approval, approve or deny them. Without a decision, these tasks stay open.",
    ),
)
