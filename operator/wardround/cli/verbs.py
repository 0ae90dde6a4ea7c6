"""What the commands do at a cluster, without a person: apply an enrolment, mint or revoke credentials, pin, fetch.

The demo enrols its hospitals with these. Asks nothing and prints nothing.
"""

from wardround.api.names import HUB_CONFIG_MAP, ROUND_UID
from wardround.cli import enrolment
from wardround.cli.cluster import Cluster, CommandError, ForbiddenError, MissingError, Object

NAMED = 8  # namespaces in one message


def enrolled(hub: Cluster, name: str) -> Object | None:
    """The Participant of a hospital as it is at the hub; None where there is none. Raises CommandError where that
    cannot be read: manifests made without it would take its federations and its fingerprint away."""
    try:
        return hub.get("Participant", name, name)
    except CommandError as error:
        raise type(error)(
            f"{error} Manifests that are made without the Participant would take away what {name} has at the hub. Only "
            f"if {name} is new there: --new prints its manifests without reading the hub."
        ) from error


def apply_enrolment(hub: Cluster, name: str, display_name: str, federations: list[str]) -> None:
    """What `enrol --apply` does."""
    before = enrolled(hub, name)
    apply_manifests(hub, enrolment.manifests(name, display_name, federations, before=before), before)


def apply_manifests(hub: Cluster, items: list[Object], before: Object | None) -> None:
    """The manifests of a hospital, applied with the caller's own rights. `before`: the Participant that they were made
    from. Refused with CommandError if somebody has changed it meanwhile, pinned a key for example."""
    for item in items:
        if item["kind"] == "Participant" and before is not None:
            read = {"resourceVersion": before["metadata"]["resourceVersion"]}
            item = {**item, "metadata": {**item["metadata"], **read}}
        try:
            hub.apply(item)
        except ForbiddenError as error:
            if not enrolment.is_flow_control(item):
                raise
            raise ForbiddenError(f"{error} Everything else is applied. --no-flow-control leaves this out.") from error


def bootstrap(hub: Cluster, name: str, server: str | None, hub_namespace: str) -> tuple[Object, Object]:
    """The Secret that the site starts with, and the hub's part of its chart's values.

    `server`: the hub's API server as the site reaches it; None: as the caller does.
    """
    facts = enrolment.hub_facts(hub.get("ConfigMap", HUB_CONFIG_MAP, hub_namespace), hub_namespace)
    if hub.get("ServiceAccount", enrolment.SERVICE_ACCOUNT, name) is None:
        raise CommandError(
            f"The hub has no service account for {name} yet: apply its manifests first (--apply, or by Git)."
        )
    token = hub.token(enrolment.SERVICE_ACCOUNT, name, enrolment.TOKEN_SECONDS)
    secret = enrolment.credentials(name, server or hub.server, hub.ca_certificate, token)
    return secret, enrolment.site_values(name, facts)


def participant(hub: Cluster, name: str) -> Object:
    found = hub.get("Participant", name, name)
    if found is None:
        raise CommandError(
            f"There is no Participant {name} on {hub.server}. Enrol the hospital first: kubectl wardround enrol {name}."
        )
    return found


def pin(hub: Cluster, name: str, fingerprint: str) -> None:
    hub.patch("Participant", name, name, {"spec": {"keyFingerprint": fingerprint}})


def revoke(hub: Cluster, name: str) -> bool:
    """Ends all tokens of a hospital: they are bound to the very account that they were minted for, and one that is made
    anew under its name is another. Whether there was an account; raises CommandError where there is no such hospital.
    """
    if hub.delete("ServiceAccount", enrolment.SERVICE_ACCOUNT, name):
        return True
    if hub.get("Participant", name, name) is None:
        raise CommandError(
            f"There is no hospital {name} on {hub.server}, so there is nothing to revoke. If that is the right hub, "
            "`kubectl get participants -A` shows the hospital's name."
        )
    return False


def needed(cluster: Cluster, kind: str, name: str, namespace: str) -> Object:
    item = cluster.get(kind, name, namespace)
    if item is None:
        raise MissingError(
            f"There is no {kind} {name} in namespace {namespace} on {cluster.server}. "
            f"To see all: kubectl get {kind.lower()}s -n {namespace}, or -A if you may."
        )
    return item


def elsewhere(cluster: Cluster, kind: str, name: str, namespace: str) -> str:
    """For somebody who gave no -n: where an object of that name is, as far as that person may list."""
    looked = f"Without -n, kubectl wardround looks in namespace {namespace}, the default of this context."
    try:
        found = cluster.list(kind, fields=f"metadata.name={name}")
    except ForbiddenError:
        return f"{looked} Name the namespace: -n NAMESPACE."
    namespaces = sorted(item["metadata"]["namespace"] for item in found)
    if not namespaces:
        return f"{looked} No namespace has a {kind} {name}."
    more = f" and {len(namespaces) - NAMED} more" if len(namespaces) > NAMED else ""
    return f"{looked} There is a {kind} {name} in {', '.join(namespaces[:NAMED])}{more}. Try -n {namespaces[0]}."


def round_with_tasks(hub: Cluster, name: str, namespace: str) -> tuple[Object, list[Object]]:
    """A FederatedRound and its RoundTasks, which lie in the participants' namespaces. Who may make rounds need not be
    allowed to look in there: no tasks then, and the round's own status has to do."""
    round_ = needed(hub, "FederatedRound", name, namespace)
    try:
        return round_, hub.list("RoundTask", labels=f"{ROUND_UID}={round_['metadata']['uid']}")
    except ForbiddenError:
        return round_, []


def lease(hub: Cluster, name: str) -> Object | None:
    """The heartbeat of a site on the hub."""
    return hub.get("Lease", "site", name)
