"""Why a participant is not in a round, in words: what is so, whose problem it is, what to do. Decides nothing.

A site sends reasons, never text (a message could carry a patient's row); the text for them is made here.
"""

ADVICE = {
    "ParticipantUnknown": "No Participant {name} in a namespace of that name. Hub: correct the name, or enrol it "
    "(kubectl wardround enrol {name}).",
    "ParticipantSuspended": "Participant {name} is suspended at the hub. Hub: unset spec.suspend to let it take part.",
    "ParticipantNoKeys": "Participant {name} has not published its keys yet. Site: install the site chart and check "
    "that its Site says HubConnected.",
    "ParticipantNotApproved": "Nobody has approved participant {name}. Hub: compare fingerprints with the hospital, "
    "then kubectl wardround approve participant/{name}.",
    "FingerprintMismatch": "The keys of participant {name} are not the approved ones. Hub: ask the hospital whether "
    "it changed its keys; only then approve the new fingerprint.",
    "FederationNotAllowed": "Participant {name} does not allow federation {federation}. Hub, with the hospital's "
    "consent: add it to spec.allowedFederations.",
    "DatasetNotFound": "Participant {name} offers no dataset {dataset}. Site: make a Dataset of that name, or use "
    "another spec.datasetName in a new round.",
    "ColumnMissing": "The data at {name} lacks a column of its schema. Site: kubectl wardround explain names it there.",
    "DataUnreadable": "The data at {name} cannot be read. Site: check path and format of Dataset {dataset}.",
    "TooFewSamples": "{name} has fewer usable rows than its own policy asks for. Site: see status.quality of Dataset "
    "{dataset}, or its policy.minSamples.",
    "NetworkOpen": "The training pod at {name} could reach the network, so it was stopped before it saw data. Site: "
    "check that the policy engine runs.",
    "ImageNotAllowed": "{name} does not allow this image. Site: review it, then add it to policy.images.",
    "ImageNotByDigest": "{name} takes images by digest only. Make a new round with repository@sha256:...",
    "TaskNotAllowed": "{name} does not allow this task. Site: add it to policy.tasks.",
    "QuorumTooSmall": "{name} asks for a larger quorum. Make a new round with a higher quorum.min.",
    "HubNotPinned": "{name} has pinned another hub's key. Site: compare it, then correct spec.hub.fingerprint.",
    "NotAddressee": "{name} says that the assignment is for another site. Hub: compare its keys with the approved.",
    "AssignmentUnreadable": "{name} could not read the assignment. Hub: check that hub and site run versions that fit.",
    "Expired": "The assignment had expired when {name} saw it. Check the clocks of both, then make a new round.",
    "Replayed": "{name} has taken this round and attempt before. Make a new round.",
    "Denied": "The people of {name} denied this task. Ask them.",
    "WaitingForApproval": "{name} waits for its own people. Site: approve the SiteTask.",
    "NotAnswered": "{name} did not answer within deadlines.admissionSeconds. Site: check that its operator runs and "
    "that its Site says HubConnected.",
    "QueueDeadline": "{name} accepted, but training did not start in time. Site: look for free nodes or accelerators.",
    "TrainDeadline": "{name} did not finish training within deadlines.trainSeconds. Site: look at the Job; or make a "
    "new round with more time.",
    "UploadDeadline": "{name} trained, but did not send in time. Site: check that the courier reaches the store.",
    "NotSentInTime": "{name} had not sent when the round closed.",
    "StoreUnreachable": "{name} does not reach the store. Site: check egress and proxy of the courier, and the store.",
    "HubUnreachable": "{name} does not reach the hub. Site: check egress and enrolment.",
    "Evicted": "The pod at {name} was evicted. Site: look at the node's pressure.",
    "ManifestUnreadable": "The update of {name} has no readable manifest; it was left out. Site: check versions.",
    "SignatureInvalid": "The update of {name} is not signed by its approved key; left out. Treat as an incident.",
    "Altered": "The update of {name} was changed on its way; it was left out. Treat as an incident at the store.",
    "WrongSchema": "The update of {name} has other tensors than expected; left out. Site: check image and schema.",
    "WrongBase": "The update of {name} starts from another base; it was left out.",
    "NotFinite": "The update of {name} has NaN or infinite values; it was left out. Try a lower learning rate.",
    "KeyUnusable": "The update of {name} cannot be opened with this round's key; it was left out.",
    "Missing": "The update of {name} is not complete in the store; it was left out.",
}
BY_CLASS = {
    "Site": "{name} reports {reason}. Site: kubectl wardround explain sitetask/... says more there.",
    "Code": "The training code failed at {name}: {reason}. Researchers: see the log of the Job at the site.",
    "Platform": "The platform of {name} failed: {reason}. Site: look at pod and node.",
    "Network": "The network of {name} failed: {reason}. Site: check egress to hub and store.",
}


def advise(reason: str, name: str, *, federation: str = "", dataset: str = "", failure_class: str = "Site") -> str:
    """One sentence or two about `reason` at participant `name`."""
    text = ADVICE.get(reason) or BY_CLASS.get(failure_class, BY_CLASS["Site"])
    return text.format(name=name, reason=reason, federation=federation, dataset=dataset)
