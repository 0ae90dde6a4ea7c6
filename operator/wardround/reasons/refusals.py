"""Why a site does not take a task, by its own policy or because it cannot trust the assignment."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import EXIT_DATA, HOSPITAL, HUB, ROUND, ROUND_OR_HOSPITAL, Reason

_site = partial(Reason, failure_class="Site")

REFUSALS = (
    _site(
        name="AssignmentUnreadable",
        owner=HUB,
        meaning="The hub's key has signed the assignment, but the site cannot read its content.",
        action="Compare the versions of hub and site. If the hub is newer, ask the hospital to upgrade its site. If "
        "both are of one version, somebody has changed the assignment: check who can write RoundTasks on the hub.",
    ),
    _site(
        name="AssignmentNotUnderstood",
        owner=HOSPITAL,
        meaning="The assignment has a version, or a critical field, that this site does not know.",
        action="If the hub is newer than the site, upgrade the site to the hub's version. Otherwise somebody else than "
        "the hub operator has written this assignment: ask the hub's administrator to check who can write RoundTasks "
        "on the hub.",
    ),
    _site(
        name="AssignmentVersionTooLow",
        owner=HUB,
        meaning="The version of the assignment is lower than policy.lowestAssignmentVersion of the site.",
        action="Upgrade the hub. If the hub has the version of the site already, the hub operator did not write this "
        "task, because it writes only versions that the site accepts. Then check who can write RoundTasks on the hub.",
    ),
    _site(
        name="HubNotPinned",
        owner=HOSPITAL,
        meaning="The hub signs with another key than the one that this site has pinned.",
        action="Ask the hub's administrator by telephone whether the hub has a new key, and for the hub's fingerprint. "
        "If this site accepted tasks of the hub before and the administrator has not replaced the key, keep "
        "hub.fingerprint in the values of the site chart, and treat this as an attack on the hub. Otherwise set "
        "hub.fingerprint to the one from the telephone. Never copy a fingerprint from a task. After a change of "
        "hub.fingerprint, Predictions refuse models that the hub has signed with its former key (ModelRefused).",
    ),
    _site(
        name="NotAddressee",
        owner=HUB,
        meaning="The assignment is for another site, or for older keys of this site.",
        action="If the hospital has renewed its keys, run `kubectl wardround approve PARTICIPANT`. Then ask the "
        "round's author to apply a new round.",
    ),
    Reason(
        name="Expired",
        failure_class="Platform",
        retried=True,
        owner=ROUND,
        meaning="The assignment has expired before the site accepted the task, or before it sent the update.",
        action="Do nothing while the round runs: the hub makes another attempt. If the round has failed, apply a new "
        "round. If the hospital needs longer to answer, raise deadlines.admissionSeconds and deadlines.totalSeconds "
        "of the new round.",
    ),
    _site(
        name="Replayed",
        owner=HUB,
        meaning="The site has already taken this attempt, or a later attempt, of this round.",
        action="Ask the round's author to apply a new round. A site never accepts the same attempt twice.",
    ),
    _site(
        name="AssignmentTooOld",
        owner=HUB,
        meaning="The site has accepted 128 tasks that the hub issued later than this one. So the site refuses this "
        "task, because it no longer knows whether it has done it already.",
        action="Ask the round's author to apply a new round. If somebody has set the hub's clock back, correct that "
        "clock first.",
    ),
    _site(
        name="TaskNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's policy does not allow this kind of task, or the round asks for more than one node or "
        "for more than 256 threads.",
        action="The round's author: Ask the hospital which tasks it allows. Correct task, resources.nodes or "
        "resources.threads in a new round. The hospital's administrator: Add the task to policy.tasks in the values "
        "of the site chart.",
    ),
    _site(
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
        action="Run `kubectl wardround dataschema digests NAME FILE.yaml -n SITE_NAMESPACE` at the site, with the "
        "name of the Dataset's DataSchema and with the federation's file: the output says which fields differ. Apply "
        "the DataSchema of the federation in the site's namespace, and name it in spec.schemaName of Dataset DATASET. "
        "If the site has refused a task of the round, ask the round's author to apply a new round. Otherwise the "
        "round continues.",
    ),
    Reason(
        name="ImageNotByDigest",
        failure_class="Site",
        owner=ROUND,
        meaning="The round names its image by a tag. A site accepts only an image that is named by its digest.",
        action="Write the image as REPOSITORY@sha256:... in a new round.",
    ),
    _site(
        name="ImageNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round's image is not in the hospital's policy.images.",
        action="The round's author: Compare the image and its digest with the image that the hospital has reviewed, "
        "and correct it in a new round. The hospital's administrator: Review the image, and add its "
        "REPOSITORY@sha256:... to policy.images in the values of the site chart.",
    ),
    _site(
        name="CommandNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round's command is not in the hospital's policy.commands, word for word.",
        action="The round's author: Compare the command with that in the image's documentation, and correct it in a "
        "new round. The hospital's administrator: Review what the command runs in that image, and add it without its "
        "verb to policy.commands in the values of the site chart.",
    ),
    _site(
        name="LocalSocketsNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round asks for IP sockets (resources.localSockets), and the hospital's policy does not allow "
        "them.",
        action="The round's author: If the code runs without loopback, set resources.localSockets to false in a new "
        "round. The hospital's administrator: Read docs/security.md before you set policy.localSockets to true in the "
        "values of the site chart. Then only the cluster's network isolates the training code.",
    ),
    _site(
        name="ParametersNotAllowed",
        exit_code=EXIT_DATA,
        owner=ROUND_OR_HOSPITAL,
        meaning="The hospital's policy does not allow one of the round's parameters: policy.parameters does not list "
        "its name, or its value is outside the bounds there.",
        action="The round's author: The parameter is PARAMETER. Compare its name with the training contract or with "
        "the documentation of the image, and correct it in a new round. The hospital's administrator, if the round "
        "needs that value: Read in docs/security.md what a parameter can reveal. Then allow it in policy.parameters "
        "in the values of the site chart. `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site names every "
        "refused parameter.",
    ),
    _site(
        name="QuorumTooSmall",
        owner=ROUND,
        meaning="The result of the round may come from fewer hospitals than policy.minQuorum of this hospital's Site. "
        "Either quorum.min of the round is lower, or its strategy is Krum, MultiKrum or GeometricMedian, whose result "
        "may come from only some of the updates.",
        action="Ask the hospital for its policy.minQuorum, and raise quorum.min to that number in a new round. With "
        "MultiKrum, raise the parameter chosen too. With Krum or GeometricMedian, name another strategy.",
    ),
    _site(
        name="ReleaseNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round's result may go to readers on the hub (release: Readers), but the hospital's "
        "policy.release allows only participants to get it.",
        action="The round's author: Apply a new round with release: Participants. The hospital's administrator: If the "
        "hospital agrees, set policy.release to Readers in the values of the site chart.",
    ),
    _site(
        name="PushedModelNotAllowed",
        owner=ROUND_OR_HOSPITAL,
        meaning="The round starts from weights that a person has pushed to the hub, or from a model that was made of "
        "them, but policy.pushedModels of the hospital is false.",
        action="The round's author: Apply a round or a FederatedModel that starts from no pushed weights. The "
        "hospital's administrator: If the hospital trusts the person who pushed the weights, set policy.pushedModels "
        "to true in the values of the site chart.",
    ),
    _site(
        name="NoModelsClaim",
        owner=HOSPITAL,
        meaning="The site has no claim of models, so it can take no models and answer no Predictions.",
        action="If the hospital wants models, write the name of a PersistentVolumeClaim into models.claimName in the "
        "values of the site chart, and run `helm upgrade`.",
    ),
    _site(
        name="Denied",
        owner=HOSPITAL,
        meaning="The hospital has refused the task: its policy.approval is Deny, or a person there has denied this "
        "task or its model. A denial whose model the site cannot read (DenialUnreadable) denies all models.",
        action="If the hospital wants to take part, set policy.approval to Policy or Manual in the values of the site "
        "chart, or withdraw the denial of the model: `kubectl wardround withdraw approval/NAME -n SITE_NAMESPACE`. "
        "Then ask the round's author to apply a new round, because a refused task stays refused.",
    ),
    _site(
        name="WaitingForApproval",
        owner=HOSPITAL,
        meaning="The task waits until a person at the hospital approves it, because policy.approval of the Site is "
        "Manual.",
        action="Run `kubectl wardround review sitetask/TASK -n SITE_NAMESPACE` at the site. The output says what the "
        "task and its series ask for, and which commands approve or deny them.",
    ),
    _site(
        name="TooManyTasks",
        owner=HOSPITAL,
        meaning="The site holds 256 open tasks, the limit. The site accepts a new task only when one of these tasks "
        "ends.",
        action="Run `kubectl get sitetasks -n SITE_NAMESPACE` at the site: the output shows what each task waits for. "
        "Tasks that wait for an approval stay open until a person approves or denies them.",
    ),
)
