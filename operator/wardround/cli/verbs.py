"""The commands' steps at a cluster: apply an enrolment, make or revoke credentials, pin, fetch.

Asks nothing and prints nothing. The demo enrols its hospitals with these functions.
"""

from wardround.api.names import HUB_CONFIG_MAP, MODEL_UID, ROUND_UID
from wardround.cli import enrolment
from wardround.cli.cluster import NAMESPACES, Cluster, Object
from wardround.cli.errors import CommandError, ForbiddenError, MissingError

NAMED = 8  # the most namespaces that a message names
MOST_UIDS = 50  # in one request


def enrolled(hub: Cluster, name: str) -> Object | None:
    """The Participant of a hospital at the hub, or None. Raises CommandError if the hub cannot be read: manifests made
    without the Participant would remove its federations and its fingerprint."""
    try:
        return hub.get("Participant", name, name)
    except CommandError as error:
        raise type(error)(
            f"{error} The command must read the Participant of {name}, because manifests without the Participant's "
            f"settings would remove them at the hub. If the hospital {name} is new at this hub, use --new: it "
            "prints manifests without reading the hub."
        ) from error


def apply_enrolment(hub: Cluster, name: str, display_name: str, federations: list[str]) -> None:
    """Enrols a hospital like `enrol --apply`."""
    before = enrolled(hub, name)
    apply_manifests(hub, enrolment.manifests(name, display_name, federations, before=before), before)


def apply_manifests(hub: Cluster, items: list[Object], before: Object | None) -> None:
    """Applies the manifests of a hospital with the caller's own rights.

    `before`: the Participant from which they were made. Raises CommandError if it has changed since, for example if
    somebody has pinned a key.
    """
    for item in items:
        if item["kind"] == "Participant" and before is not None:
            version = {"resourceVersion": before["metadata"]["resourceVersion"]}
            item = {**item, "metadata": {**item["metadata"], **version}}
        try:
            hub.apply(item)
        except ForbiddenError as error:
            if not enrolment.is_flow_control(item):
                raise
            raise ForbiddenError(
                f"{error} The command has applied the manifests that come before this one. To enrol the hospital "
                "without a PriorityLevelConfiguration and a FlowSchema, run the command again with --no-flow-control."
            ) from error


def bootstrap(hub: Cluster, name: str, server: str | None, hub_namespace: str) -> tuple[Object, Object]:
    """The site's first Secret, and the hub's part of the site chart's values. Raises CommandError.

    `server`: the URL at which the site reaches the hub's API server; None for the caller's URL.
    """
    facts = enrolment.hub_facts(hub.get("ConfigMap", HUB_CONFIG_MAP, hub_namespace), hub_namespace)
    if hub.get("ServiceAccount", enrolment.SERVICE_ACCOUNT, name) is None:
        raise CommandError(
            f"There can be no token yet, because the hub has no service account for the hospital {name}. First "
            f"apply the hospital's manifests, with kubectl wardround enrol {name} --apply or by Git."
        )
    token = hub.token(enrolment.SERVICE_ACCOUNT, name, enrolment.TOKEN_SECONDS)
    secret = enrolment.credentials(name, server or hub.server, hub.ca_certificate, token)
    return secret, enrolment.site_values(name, facts)


def participant(hub: Cluster, name: str) -> Object:
    item = hub.get("Participant", name, name)
    if item is None:
        raise MissingError(
            f"There is no Participant {name} on {hub.server}. To see the hospitals' names: kubectl get participants -A."
        )
    return item


def pin(hub: Cluster, name: str, fingerprint: str) -> None:
    hub.patch("Participant", name, name, {"spec": {"keyFingerprint": fingerprint}})


def revoke(hub: Cluster, name: str) -> bool:
    """Ends all tokens of a hospital by deleting its account. Tokens are bound to the account's UID, so a new account of
    the same name does not revive them.

    Returns whether there was an account. Raises CommandError if there is no such hospital.
    """
    if hub.delete("ServiceAccount", enrolment.SERVICE_ACCOUNT, name):
        return True
    if hub.get("Participant", name, name) is None:
        raise CommandError(
            f"There is nothing to revoke, because {hub.server} has no hospital {name}. Check that this is the right "
            "hub. To see the hospitals' names: kubectl get participants -A."
        )
    return False


def needed(cluster: Cluster, kind: str, name: str, namespace: str) -> Object:
    item = cluster.get(kind, name, namespace)
    if item is None:
        if _lacks_namespace(cluster, namespace):
            raise MissingError(
                f"There is no {kind} {name}, because {cluster.server} has no namespace {namespace}. {NAMESPACES}"
            )
        raise MissingError(
            f"There is no {kind} {name} in namespace {namespace} on {cluster.server}. To see the names that exist: "
            f"kubectl get {kind.lower()}s -n {namespace}. For all namespaces, use -A if you have the right."
        )
    return item


def _lacks_namespace(cluster: Cluster, name: str) -> bool:
    """Whether the cluster has no such namespace. False too if the caller may not read it."""
    try:
        return cluster.get("Namespace", name) is None
    except ForbiddenError:
        return False


def elsewhere(cluster: Cluster, kind: str, name: str, namespace: str) -> str:
    """A hint for a person who gave no -n: the namespaces with an object of that name, if the person may list them."""
    default = f"Without -n, kubectl wardround looks in namespace {namespace}, the default of this context."
    try:
        items = cluster.list(kind, fields=f"metadata.name={name}")
    except ForbiddenError:
        return f"{default} Name the namespace: -n NAMESPACE."
    namespaces = sorted(item["metadata"]["namespace"] for item in items)
    if not namespaces:
        return f"{default} No namespace has a {kind} {name}."
    more = f" and {len(namespaces) - NAMED} more" if len(namespaces) > NAMED else ""
    return f"{default} There is a {kind} {name} in {', '.join(namespaces[:NAMED])}{more}. Try -n {namespaces[0]}."


def round_with_tasks(hub: Cluster, name: str, namespace: str) -> tuple[Object, list[Object]]:
    """A FederatedRound and its RoundTasks. If the caller may not read the participants' namespaces, there are no tasks,
    and the round's own status must be enough."""
    round_ = needed(hub, "FederatedRound", name, namespace)
    return round_, tasks_of(hub, [round_]) or []


def model_with_rounds(hub: Cluster, name: str, namespace: str) -> tuple[Object, list[Object], list[Object]]:
    """A FederatedModel, its ModelVersions and its FederatedRounds."""
    model = needed(hub, "FederatedModel", name, namespace)
    labels = f"{MODEL_UID}={model['metadata']['uid']}"
    return model, hub.list("ModelVersion", namespace, labels), hub.list("FederatedRound", namespace, labels)


def rounds_of_namespace(hub: Cluster, namespace: str) -> list[Object]:
    """All FederatedRounds of a namespace: those of its models, and those of people."""
    return hub.list("FederatedRound", namespace)


def tasks_of(hub: Cluster, rounds: list[Object]) -> list[Object] | None:
    """The RoundTasks of these rounds, or None if the caller may not read the participants' namespaces."""
    uids = [each["metadata"]["uid"] for each in rounds]
    tasks: list[Object] = []
    try:
        # A URL has a largest length.
        for start in range(0, len(uids), MOST_UIDS):
            some = ",".join(uids[start : start + MOST_UIDS])
            tasks += hub.list("RoundTask", labels=f"{ROUND_UID} in ({some})")
    except ForbiddenError:
        return None
    return tasks


def participants(hub: Cluster) -> list[Object] | None:
    """All Participants, or None if the caller may not read them."""
    try:
        return hub.list("Participant")
    except ForbiddenError:
        return None


def data_schema(cluster: Cluster, name: str, namespace: str) -> Object | None:
    """A DataSchema, or None if there is none or the caller may not read it."""
    try:
        return cluster.get("DataSchema", name, namespace)
    except ForbiddenError:
        return None


def site_of(cluster: Cluster, namespace: str) -> Object | None:
    """The Site of a hospital's namespace, or None if there is none or the caller may not read it."""
    try:
        return cluster.get("Site", "site", namespace)
    except ForbiddenError:
        return None


def lease(hub: Cluster, name: str) -> Object | None:
    """The heartbeat of a site on the hub."""
    return hub.get("Lease", "site", name)
