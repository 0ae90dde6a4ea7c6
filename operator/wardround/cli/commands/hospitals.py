"""The verbs enrol, approve and revoke: bring a hospital to the hub, and end its access."""

import argparse
from pathlib import Path

import yaml

from wardround.cli import enrolment, enrolment_files, verbs
from wardround.cli.arguments import Parsers, hospital
from wardround.cli.cluster import Cluster, Object
from wardround.cli.commands import approvals
from wardround.cli.enrolment_files import File
from wardround.cli.errors import CommandError, ForbiddenError, MissingError
from wardround.cli.objects import printable
from wardround.cli.terminal import confirmed, say, write_private


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    _add_enrol(parsers, shared)
    _add_approve(parsers, shared)
    _add_revoke(parsers, shared)


def _add_enrol(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    enrol = parsers.add_parser(
        "enrol",
        parents=[shared],
        help="make a hospital's manifests for Git, and its first credentials",
        description="Prints the Kubernetes manifests that enrol a hospital at the hub. Keep these manifests in Git. "
        "The manifests keep the settings that the hospital's Participant already has on the hub. The command also "
        "says how applying the manifests would change this Participant. With --bootstrap, the command writes the "
        "site's first credentials to a file. The command then prints, instead of the manifests, the values that the "
        "hospital gives to the site chart (from-hub.yaml).",
    )
    enrol.add_argument("name", help="the hospital's name, which is also its namespace on the hub")
    enrol.add_argument(
        "--display-name",
        default="",
        help="the hospital's name in tables and reports; default: the display name that the Participant has already, "
        "or NAME",
    )
    enrol.add_argument(
        "--federation",
        action="append",
        default=[],
        metavar="NS",
        help="the namespace of a federation whose rounds may ask the hospital. The command adds this namespace to "
        "spec.allowedFederations of the Participant. To remove a namespace, edit that list",
    )
    how = enrol.add_mutually_exclusive_group()
    how.add_argument("--apply", action="store_true", help="apply the manifests to the hub, with your own rights")
    how.add_argument("--new", action="store_true", help="print the manifests of a new hospital without reading the hub")
    enrol.add_argument(
        "--no-flow-control",
        action="store_false",
        dest="flow_control",
        help="make no priority level and no FlowSchema (both are cluster-scoped): the hospital's requests then take "
        "turns with those of all service accounts",
    )
    enrol.add_argument(
        "--bootstrap", type=Path, metavar="FILE", help="write the site's Secret, with a token for 24 hours"
    )
    enrol.add_argument(
        "--hub-server",
        metavar="URL",
        help="the URL under which the site reaches the hub's API server; default: the URL in your kubeconfig",
    )
    enrol.add_argument("--hub-namespace", default="wardround-hub", metavar="NS", help="namespace of the hub operator")
    enrol.set_defaults(run=run_enrol)


def _add_approve(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    approve = parsers.add_parser(
        "approve",
        parents=[shared],
        help="on the hub: pin a hospital's keys after you have compared their fingerprint. At a hospital: approve a "
        "task, a model or a sweep",
    )
    approve.add_argument("name", metavar="NAME|sitetask/NAME", help="a hospital at the hub, or a task at the hospital")
    approve.add_argument(
        "--fingerprint", metavar="sha256:..", help="pin the keys if they have this fingerprint, without a question"
    )
    approve.add_argument("--yes", action="store_true", help="pin the published keys, or approve, without a question")
    approvals.add_to_approve(approve)
    approve.set_defaults(run=run_approve)


def _add_revoke(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    revoke = parsers.add_parser(
        "revoke",
        parents=[shared],
        help="revoke all tokens with which a hospital logs in to the hub, for example after one was lost",
        description="Ends all tokens of a hospital by deleting its account on the hub. Its Participant, keys and "
        "tasks stay, and rounds leave the hospital out until you enrol it again. If the tokens have to stay valid, "
        "set spec.suspend of the Participant instead.",
    )
    revoke.add_argument("name", help="the hospital's name")
    revoke.set_defaults(run=run_revoke)


def run_enrol(hub: Cluster, options: argparse.Namespace) -> int:
    enrolment.check_hospital(options.name, options.hub_namespace)
    for federation in options.federation:
        enrolment.check_name(federation, "a federation")
    hospital = (options.name, options.display_name, options.federation)
    if options.apply or options.bootstrap is None:
        before = None if options.new else verbs.enrolled(hub, options.name)
        if before is None and not options.new:
            _refuse_foreign_namespace(hub, options.name)
        items = enrolment.manifests(*hospital, before=before, flow_control=options.flow_control)
        if not options.new:
            say_changes(hub.server, options.name, before, items, applied=options.apply)
        if options.apply:
            verbs.apply_manifests(hub, items, before)
            for item in items:
                say(f"applied {item['kind']} {item['metadata']['name']}")
        else:
            print(yaml.safe_dump_all(items, sort_keys=False), end="")
    if options.bootstrap is None:
        return 0
    secret, values = verbs.bootstrap(hub, options.name, options.hub_server, options.hub_namespace)
    pins, credentials = (enrolment.as_text(each) for each in (values, secret))
    _write_credentials(options, File("from-hub.yaml", pins), File(str(options.bootstrap), credentials))
    print(pins, end="")
    return 0


def _refuse_foreign_namespace(hub: Cluster, name: str) -> None:
    """Raises CommandError if the namespace of a new hospital exists already and is not a hospital's."""
    try:
        namespace = hub.get("Namespace", name)
    except ForbiddenError:
        say(
            f"You may not read the namespace {name} at {hub.server}. So the command does not know whether this "
            "namespace belongs to somebody else. Ask the hub's administrator before you apply the manifests."
        )
        return
    if namespace is not None:
        enrolment.check_namespace(namespace, hub.server)


def _write_credentials(options: argparse.Namespace, pins: File, credentials: File) -> None:
    """Writes the file for the hospital, and says what both files hold. Raises CommandError if the hospital's check
    would refuse one of them."""
    if faults := enrolment_files.faults(pins, credentials):
        advice = (
            "Correct the address and the CA of the hub's API server (--hub-server or your kubeconfig), or the store's "
            "endpoint and CA in the values of the hub chart."
        )
        lines = (f"- {each}" for each in faults)
        raise CommandError("\n".join(["The hospital's check would refuse these files.", *lines, advice]))
    replaced = " in place of the file that was there" if options.bootstrap.exists() else ""
    write_private(options.bootstrap, credentials.text)
    say(
        f"Wrote {options.bootstrap}{replaced}: the site's first credentials, valid for 24 hours.\n"
        "Send the file to the hospital, which has to apply it within 24 hours. Then delete the file here.\n"
        "Send the hospital the values below, too. Change neither file, because the hospital checks both with "
        "`kubectl wardround check-enrolment`. The hospital then compares these lines with you by telephone:"
    )
    for line in enrolment_files.contents(pins, credentials):
        say(line)
    if not options.hub_server:
        say(
            "The address of the hub's API server is as in your kubeconfig. If the site reaches the hub under another "
            "URL, run the command again with --hub-server URL."
        )


def say_changes(server: str, name: str, before: Object | None, items: list[Object], *, applied: bool) -> None:
    """Tells the person how these manifests change the Participant at the hub, or that there is none yet."""
    if before is None:
        say(f"{server} has no Participant {name} yet, so these manifests are for a new hospital.")
        return
    [after] = [item for item in items if item["kind"] == "Participant"]
    changed = enrolment.changes(before, after)
    if not changed:
        say(f"{name} is enrolled at {server} already, and these manifests change nothing in its Participant.")
    else:
        say(
            "\n  ".join(
                [
                    f"{name} is enrolled at {server} already. These manifests change its Participant:",
                    *changed,
                ]
            )
        )
    if not applied:
        say("To see what the manifests change in all objects, pipe the manifests into: kubectl diff -f -")


def run_approve(hub: Cluster, options: argparse.Namespace) -> int:
    if approvals.names_a_task(options.name):
        return approvals.run_approve(hub, options)
    name = hospital(options.name)
    participant = printable(_participant(hub, options, name))
    computed = enrolment.fingerprint_to_pin(participant)
    pinned = participant["spec"].get("keyFingerprint")
    say(f"{name} ({participant['spec'].get('displayName', '')}) publishes keys with the fingerprint {computed}")
    if options.fingerprint:
        enrolment.check_expected(computed, options.fingerprint)
    if pinned == computed:
        say("There is nothing to do: the hub has pinned this fingerprint already.")
        return 0
    if pinned:
        say(
            f"The hospital's keys have changed: the hub has pinned another fingerprint until now, {pinned}. Ask the "
            "hospital by telephone whether it has renewed its keys. If it has not, do not pin the new fingerprint."
        )
    if not (options.fingerprint or options.yes) and not confirmed(
        "Does the hospital read out the same fingerprint? [y/N] "
    ):
        say("Nothing is pinned.")
        return 2
    verbs.pin(hub, name, computed)
    say(
        "The command has pinned the fingerprint. From now on, rounds of the federations in spec.allowedFederations "
        f"of Participant {name} can ask this hospital."
    )
    return 0


def _participant(hub: Cluster, options: argparse.Namespace, name: str) -> Object:
    """Raises CommandError. A person who has given a name alone may have meant a task at a hospital."""
    try:
        return verbs.participant(hub, name)
    except (MissingError, ForbiddenError) as error:
        if options.name != name:
            raise
        namespaces = approvals.namespaces_with_task(hub, name, options.namespace)
        if namespaces:
            raise MissingError(
                f"{name} is no hospital, but a task: there is a SiteTask {name} in {', '.join(namespaces)}. To approve "
                f"the task: kubectl wardround approve sitetask/{name} -n {namespaces[0]}"
            ) from error
        if isinstance(error, ForbiddenError):
            raise
        namespace = options.namespace or hub.default_namespace
        raise MissingError(
            f"{hub.server} has neither a Participant {name} nor, in namespace {namespace}, a SiteTask {name}. `approve "
            "NAME` approves a hospital at the hub. To see the hospitals' names: kubectl get participants -A. `approve "
            f"sitetask/NAME` approves a task at a hospital. To see the tasks: kubectl get sitetasks -n {namespace}"
        ) from error


def run_revoke(hub: Cluster, options: argparse.Namespace) -> int:
    name = hospital(options.name)
    if verbs.revoke(hub, name):
        outcome = (
            f"The command has revoked {name}: within seconds, {hub.server} accepts no request of this hospital "
            "any more. Rounds continue without it."
        )
    else:
        outcome = (
            f"There is nothing to do: {name} is revoked already, and {hub.server} accepts no token of this hospital."
        )
    say(
        f"{outcome}\n"
        "A watch that the site has already open continues until its connection ends. To end open watches now, restart "
        "the hub's API server.\n"
        "To give the hospital a new token:\n"
        f"  kubectl wardround enrol {name} --apply --hub-server URL --bootstrap FILE"
    )
    return 0
