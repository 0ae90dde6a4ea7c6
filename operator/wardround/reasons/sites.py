"""How a Site and its Datasets stand."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import CLUSTER, HOSPITAL, HUB, NOBODY, Reason, Words

_hospital = partial(Reason, owner=HOSPITAL)
_nobody = partial(Reason, owner=NOBODY)

SITES = (
    _hospital(
        name="NotEnrolled",
        places=(Place.SITE, Place.CONNECTED),
        meaning="The site has no credentials for the hub.",
        action="Ask the hub's administrator to run `kubectl wardround enrol PARTICIPANT --hub-server URL "
        "--bootstrap FILE`, and to send you FILE. Check FILE with `kubectl wardround check-enrolment from-hub.yaml "
        "FILE`. Then run `kubectl apply -n SITE_NAMESPACE -f FILE` at the site.",
    ),
    _hospital(
        name="EnrolmentExpired",
        owner=HUB,
        places=(Place.SITE, Place.CONNECTED),
        meaning="The hub's API server refuses the site's token: the token has expired, or the hub's administrator "
        "has revoked it.",
        action="Run `kubectl wardround enrol PARTICIPANT --apply --hub-server URL --bootstrap FILE`, with the URL "
        "under which the site reaches the hub. PARTICIPANT is hub.participantNamespace in the values of the site "
        "chart. Give FILE to the hospital's administrator, who checks FILE with `kubectl wardround check-enrolment "
        "from-hub.yaml FILE` and then runs `kubectl apply -n SITE_NAMESPACE -f FILE` at the site.",
    ),
    _hospital(
        name="HubForbids",
        owner=HUB,
        places=(Place.SITE, Place.CONNECTED),
        meaning="The hub's API server refuses a request of the site, because the site's account lacks a right.",
        action="Run `kubectl wardround enrol PARTICIPANT --apply` on the hub: this command gives the account its "
        "rights again.",
    ),
    _hospital(
        name="NotConnected",
        places=(Place.EXPLAINED,),
        meaning="The site is not connected to the hub.",
        action="Run `kubectl wardround explain site/site -n SITE_NAMESPACE` at the site, and do what it says. If it "
        "names no cause, read the log of the site operator. Often a firewall blocks connections to the hub.",
    ),
    _hospital(
        name="SchemaInvalid",
        places=(Place.PREDICTION_FAILED,),
        concerns="Objects",
        meaning="The Dataset does not match its DataSchema, or the Dataset or the DataSchema has a fault.",
        action="The condition's message names the fault. If the Dataset is wrong, correct the Dataset. If the "
        "DataSchema is wrong, apply a corrected DataSchema under another name, because nobody can change a "
        "DataSchema. Then write the new name into spec.schemaName of the Dataset.",
    ),
    _hospital(
        name="SchemaNotFound",
        concerns="Objects",
        places=(Place.PREDICTION_STALLED,),
        meaning="The DataSchema that spec.schemaName of the Dataset names does not exist in this namespace.",
        action="Apply the federation's DataSchema in this namespace, or correct spec.schemaName of the Dataset.",
        at_prediction=Words(
            meaning="The Prediction waits: the DataSchema that its Dataset names does not exist in this namespace.",
            action="Apply the federation's DataSchema in this namespace, or correct spec.schemaName: `kubectl edit "
            "dataset DATASET -n SITE_NAMESPACE`. The Prediction then continues.",
        ),
    ),
    _hospital(
        name="OneClass",
        concerns="Rows",
        meaning="All valid rows of the data file have the same target, so a model cannot learn how the classes differ.",
        action="If the hospital has patients of another class, compare the target's column in the file with Dataset "
        "DATASET and its DataSchema, and correct what differs. If the hospital has no patients of another class, there "
        "is nothing to do.",
    ),
    _hospital(
        name="RowsRepeated",
        concerns="Rows",
        meaning="Many rows of the data file are copies: they equal an earlier row of the same patient in all "
        "features and in the target.",
        action="If each row is a visit, there is nothing to do. Otherwise check whether the export that writes the "
        "file of Dataset DATASET writes each row twice, for example because it joins two tables.",
    ),
    _hospital(
        name="ClassLeftOut",
        concerns="Rows",
        meaning="One class of the target loses a far larger share of its rows than the others, because these rows "
        "break the DataSchema. A model then sees too few patients of this class, and may miss the most ill ones.",
        action="Read status.leftOut of Dataset DATASET: it counts the left-out rows by field and reason. In the "
        "data file, correct the field that has most of these rows.",
    ),
    _hospital(
        name="TargetsContradict",
        concerns="Rows",
        meaning="In the data file, some patients have several rows with different targets.",
        action="If each row is a visit, there is nothing to do. Otherwise correct the rows in the file of Dataset "
        "DATASET: either some targets are wrong, or several patients have the same identifier.",
    ),
    _nobody(
        name="Connecting",
        places=(Place.SITE, Place.CONNECTED),
        meaning="The site operator is connecting to the hub for the first time.",
        action="Wait.",
    ),
    _hospital(
        name="LinkLocalOpen",
        owner=CLUSTER,
        places=(Place.LINK_LOCAL,),
        meaning="The network of training pods is not fully closed: another pod or a node answers them at an IPv6 "
        "link-local address, although the NetworkPolicy denies all traffic. Only code in rounds with "
        "resources.localSockets could use this.",
        action="On each node, run the command in the condition's message, as docs/operations.md says (IPv6 "
        "link-local). Until then, training tasks fail at this site: all of them if policy.linkLocal in the values "
        "of the site chart is Refuse, and otherwise only those of rounds with resources.localSockets.",
    ),
    _nobody(
        name="LinkLocalSilent",
        places=(Place.LINK_LOCAL,),
        meaning="Nothing answered the newest training pod over IPv6 link-local. This does not prove that the "
        "network closes link-local: perhaps no node or pod was there to answer.",
        action="Nothing to do.",
    ),
    _nobody(
        name="LinkLocalAbsent",
        places=(Place.LINK_LOCAL,),
        meaning="Training pods have no IPv6, so nothing can reach them over IPv6 link-local.",
        action="Nothing to do.",
    ),
    _nobody(
        name="NotReadYet",
        places=(Place.DATASET,),
        meaning="The Dataset fits its DataSchema. But no pod has read the data file yet, so spec.claimName, "
        "spec.path and spec.format of the Dataset may be wrong.",
        action="Nothing to do: the site operator starts a pod that reads the data. If the pod takes long, run "
        "`kubectl describe dataset DATASET -n SITE_NAMESPACE` at the site: status.reading says why.",
    ),
    _hospital(
        name="ReadingNotAdmitted",
        places=(Place.DATASET,),
        meaning="No pod can read the data file, because the API server of the hospital's cluster admits no Job that "
        "reads this Dataset, or no pod of this Job. So rounds cannot use the Dataset.",
        action="If the message names policy.datasets or policy.dataSchemas, add the Dataset or its DataSchema to this "
        "list in the values of the site chart, and run `helm upgrade`. Otherwise remove the cause that the message "
        "names, for example a ResourceQuota of the namespace or an admission policy of the cluster. The site operator "
        "tries again.",
    ),
    _nobody(
        name="Read",
        places=(Place.DATASET,),
        meaning="A pod has read the data file, and the Dataset can be used. status.leftOut counts the rows that "
        "Wardround left out.",
        action="Nothing to do.",
    ),
    _nobody(
        name="Connected",
        places=(Place.CONNECTED,),
        meaning="The site is connected to the hub.",
        action="Nothing to do.",
    ),
)
