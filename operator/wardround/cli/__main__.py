"""kubectl-wardround: parses arguments, fetches objects, asks the person, prints. The modules beside it decide."""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live

from wardround.api.meta import API_VERSION
from wardround.api.site import LEAST_CELL, Policy, share
from wardround.api.times import to_microseconds
from wardround.cli import (
    dataschemas,
    datasets,
    enrolment,
    explain,
    models,
    readings,
    results,
    verbs,
    watch,
    watch_model,
)
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError, MissingError
from wardround.cli.objects import printable
from wardround.clock import system_clock
from wardround.wire import codec

REFRESH_SECONDS = 1.0
NOBODY_READS = 141
PIPE_WIDTH = 160
_ALIASES = {
    "Participant": ("participant", "participants", "ptc"),
    "FederatedRound": ("federatedround", "federatedrounds", "fr"),
    "RoundTask": ("roundtask", "roundtasks", "rt"),
    "Site": ("site", "sites"),
    "SiteTask": ("sitetask", "sitetasks", "st"),
    "Dataset": ("dataset", "datasets", "dset"),
    "FederatedModel": ("federatedmodel", "federatedmodels", "fm"),
    "ModelVersion": ("modelversion", "modelversions", "mv"),
}


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done (`watch`: Complete), 1 `watch`: Failed or deleted, `dataset check` and `dataset read`: not
    Ready, `dataschema digests`: something differs, 2 the command failed, 3 `watch`: its --timeout is over, 141 the
    reader of the output has closed it (as if SIGPIPE had ended the program)."""
    try:
        try:
            return carry_out(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again when it exits, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS


def carry_out(arguments: list[str] | None) -> int:
    """The exit code of a command."""
    options = parser().parse_args(arguments)
    run: Callable[[Cluster, argparse.Namespace], int] = options.run
    try:
        return run(Cluster(options.kubeconfig, options.context), options)
    except CommandError as error:
        say(f"error: {error}")
        return 2
    except codec.Malformed as error:
        say(
            f"error: The object cannot be read: {error}. Install the version of kubectl-wardround that the CRDs of "
            "this cluster have."
        )
        return 2
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--kubeconfig", help="file; default KUBECONFIG or ~/.kube/config")
    shared.add_argument("--context", help="context in the kubeconfig")
    shared.add_argument("-n", "--namespace", help="default: the namespace of the context")
    top = argparse.ArgumentParser(
        prog="kubectl wardround",
        description="Enrol and approve hospitals, watch rounds and models, and see why something waits.",
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")

    enrol = verbs.add_parser(
        "enrol",
        parents=[shared],
        help="make a hospital's manifests for Git, and its first credentials",
        description="Prints the manifests of a hospital for the hub, to keep in Git. They keep the settings that the "
        "hospital's Participant has at the hub, and the command says what they change. With --bootstrap, the command "
        "writes the site's first credentials to a file, and prints the hub's part of the site chart's values instead "
        "of the manifests.",
    )
    enrol.add_argument("name", help="the hospital's name, which is also its namespace on the hub")
    enrol.add_argument(
        "--display-name", default="", help="name for tables and reports; default: the present one, or NAME"
    )
    enrol.add_argument(
        "--federation",
        action="append",
        default=[],
        metavar="NS",
        help="namespace whose rounds may ask the hospital. It is added to spec.allowedFederations of the Participant. "
        "To remove a namespace, delete it there",
    )
    how = enrol.add_mutually_exclusive_group()
    how.add_argument("--apply", action="store_true", help="apply the manifests to the hub, with your own rights")
    how.add_argument("--new", action="store_true", help="print the manifests of a new hospital without reading the hub")
    enrol.add_argument(
        "--no-flow-control",
        action="store_false",
        dest="flow_control",
        help="leave out the priority level and the FlowSchema, which are cluster-scoped: the hospital's requests "
        "then take turns with those of all service accounts",
    )
    enrol.add_argument(
        "--bootstrap", type=Path, metavar="FILE", help="write the site's Secret, with a token for 24 hours"
    )
    enrol.add_argument(
        "--hub-server",
        metavar="URL",
        help="the hub's API server as the site reaches it; default: the one in your kubeconfig",
    )
    enrol.add_argument("--hub-namespace", default="wardround-hub", metavar="NS", help="namespace of the hub operator")
    enrol.set_defaults(run=run_enrol)

    approve = verbs.add_parser(
        "approve", parents=[shared], help="pin a hospital's keys after you compared their fingerprint"
    )
    approve.add_argument("name")
    approve.add_argument(
        "--fingerprint", metavar="sha256:..", help="pin the keys if they have this fingerprint, without a question"
    )
    approve.add_argument("--yes", action="store_true", help="pin the published keys without a question")
    approve.set_defaults(run=run_approve)

    revoke = verbs.add_parser(
        "revoke",
        parents=[shared],
        help="revoke all tokens with which a hospital logs in to the hub, for example after one was lost",
        description="Deletes the hospital's account at the hub, and with it every token of that account. Its "
        "Participant, keys and tasks stay. Rounds leave the hospital out until it has an account again. To leave a "
        "hospital out of rounds without ending its tokens, set spec.suspend of its Participant.",
    )
    revoke.add_argument("name", help="the hospital's name")
    revoke.set_defaults(run=run_revoke)

    ends = "exit code 0: Complete, 1: Failed or deleted, 3: --timeout has passed"
    watching = verbs.add_parser(
        "watch",
        parents=[shared],
        help=f"follow a round or the series of a model while it runs; {ends}",
        description=f"Follows a round, or the rounds of a model: {ends}. A model that waits until a person acts counts "
        "as Failed.",
    )
    watching.add_argument("target", metavar="federatedround/NAME", help="or federatedmodel/NAME")
    watching.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="stop watching after this time; default: at the end"
    )
    watching.set_defaults(run=run_watch)

    telling = verbs.add_parser(
        "results",
        parents=[shared],
        help="show the numbers of a complete round, with intervals",
        description="Shows each metric of a complete round: its value with a 95 % interval, the people and hospitals "
        "that it covers, the rows and the model that were measured, and whether a higher or a lower value is better.",
    )
    telling.add_argument("target", metavar="federatedround/NAME")
    telling.add_argument(
        "--by-hospital",
        action="store_true",
        help="also show each hospital's own numbers, if policy.tellOwnMetrics of its Site is true",
    )
    telling.add_argument("-o", dest="output", choices=("csv", "json"), help="default: a table")
    telling.set_defaults(run=run_results)

    explaining = verbs.add_parser(
        "explain", parents=[shared], help="say why an object waits or has failed, who has to act, and how"
    )
    explaining.add_argument("target", metavar="KIND/NAME")
    explaining.set_defaults(run=run_explain)

    about_models = verbs.add_parser("model", help="get a model out of the hub")
    model_verbs = about_models.add_subparsers(required=True, metavar="VERB")
    pulling = model_verbs.add_parser(
        "pull",
        parents=[shared],
        help="write a model and its card into a folder",
        description="Asks the hub for a model with a key that is used once, verifies the answer, and writes "
        "model.safetensors and card.json into a new folder. You need the role wardround-model-reader, and the rounds "
        "of the model have to say release: Readers.",
    )
    pulling.add_argument(
        "target", metavar="federatedround/NAME", help="or modelversion/NAME or federatedmodel/NAME[@VERSION]"
    )
    pulling.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder")
    pulling.add_argument(
        "--hub-fingerprint",
        required=True,
        metavar="sha256:..",
        help="of the hub, as its administrator tells it. The folder of another hub is refused",
    )
    pulling.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help="default: %(default)g")
    pulling.set_defaults(run=run_model_pull)

    about_schemas = verbs.add_parser("dataschema", help="compare a DataSchema with that of the hub or of a hospital")
    schema_verbs = about_schemas.add_subparsers(required=True, metavar="VERB")
    digesting = schema_verbs.add_parser(
        "digests",
        parents=[shared],
        help="show the digests of a DataSchema, or in which fields two of them differ",
        description="Shows the digests of a DataSchema and of each of its fields. A round and all its hospitals need "
        "equal digests. With a second DataSchema, shows what differs. Descriptions do not count. Exit code 0: nothing "
        "differs, 1: something does.",
    )
    digesting.add_argument("schema", metavar="NAME|FILE.yaml", help="a DataSchema of the namespace, or a file with one")
    other = digesting.add_mutually_exclusive_group()
    other.add_argument("other", nargs="?", metavar="NAME|FILE.yaml", help="the DataSchema to compare it with")
    other.add_argument("--hospital", metavar="NAME", help="on the hub: compare it with what this hospital publishes")
    digesting.set_defaults(run=run_dataschema_digests)

    about_datasets = verbs.add_parser("dataset", help="check a hospital's Dataset and its file before a round needs it")
    dataset_verbs = about_datasets.add_subparsers(required=True, metavar="VERB")
    checking = dataset_verbs.add_parser(
        "check",
        help="read a Dataset and its file on this computer, without a cluster",
        description="Reads a Dataset and its file on this computer, with the code of the training pod, and says what "
        "that pod would say. Contacts no cluster, and changes nothing. Exit code 0: the Dataset would be Ready, 1: it "
        "would not.",
    )
    checking.add_argument("manifest", type=Path, metavar="FILE.yaml", help="the Dataset")
    checking.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="the data file of the Dataset, in the format of spec.format (CSV or Parquet)",
    )
    checking.add_argument(
        "--schema", type=Path, metavar="FILE.yaml", help="the Dataset's DataSchema; default: in the file of the Dataset"
    )
    checking.add_argument(
        "--max-left-out",
        type=share_of_rows,
        default=Policy().max_left_out,
        metavar="SHARE",
        help="policy.maxLeftOut of the Site, from 0 to 1; default: %(default)s",
    )
    checking.add_argument(
        "--min-cell",
        type=patients,
        default=LEAST_CELL,
        metavar="PATIENTS",
        help="policy.minCell of the Site; default: %(default)s",
    )
    checking.set_defaults(run=run_dataset_check, kubeconfig=None, context=None)
    reading = dataset_verbs.add_parser(
        "read",
        parents=[shared],
        help="let the site read a Dataset's file now, without a round",
        description="Asks the site operator to read a Dataset's file in a pod with Wardround's own code, waits for "
        "the pod, and says what it found. Exit code 0: the Dataset is Ready, 1: it is not.",
    )
    reading.add_argument("name", metavar="NAME", help="the Dataset")
    reading.add_argument("--timeout", type=seconds, default=600.0, metavar="SECONDS", help="default: %(default)g")
    reading.set_defaults(run=run_dataset_read)
    return top


def run_dataset_read(site: Cluster, options: argparse.Namespace) -> int:
    namespace = options.namespace or site.default_namespace
    request = to_microseconds(system_clock())
    readings.ask(site, options.name, namespace, request)
    until = time.monotonic() + options.timeout
    while True:
        item = site.get("Dataset", options.name, namespace)
        if item is None:
            raise MissingError(f"Dataset {options.name} was deleted.")
        if answer := readings.answer(item, request):
            print("\n".join(answer.lines))
            return 0 if answer.ready else 1
        if time.monotonic() > until:
            raise CommandError(readings.waiting(item, options.timeout))
        time.sleep(REFRESH_SECONDS)


def run_model_pull(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    lines = models.pull(hub, kind, name, namespace, options.output, options.hub_fingerprint, options.timeout)
    print("\n".join(lines))
    return 0


def run_dataschema_digests(cluster: Cluster, options: argparse.Namespace) -> int:
    one = described_schema(cluster, options.schema, options.namespace)
    if options.hospital:
        answer = dataschemas.published(one, verbs.participant(cluster, hospital(options.hospital)))
    elif options.other:
        answer = dataschemas.compared(one, described_schema(cluster, options.other, options.namespace))
    else:
        answer = dataschemas.digests(one)
    print("\n".join(answer.lines))
    return 0 if answer.equal else 1


def described_schema(cluster: Cluster, target: str, namespace: str | None) -> dataschemas.Described:
    """The DataSchema of a file or of the cluster. Raises CommandError."""
    if dataschemas.is_file(target):
        return dataschemas.from_file(Path(target))
    namespace = namespace or cluster.default_namespace
    item = verbs.needed(cluster, "DataSchema", target, namespace)
    return dataschemas.described(f"{namespace}/{target}", item.get("spec"))


def run_dataset_check(_: Cluster, options: argparse.Namespace) -> int:
    limits = datasets.Limits(options.max_left_out, options.min_cell)
    checked = datasets.check(options.manifest, options.file, limits, options.schema)
    print("\n".join(checked.lines))
    return 0 if checked.ready else 1


def run_enrol(hub: Cluster, options: argparse.Namespace) -> int:
    enrolment.check_hospital(options.name, options.hub_namespace)
    for federation in options.federation:
        enrolment.check_name(federation, "a federation")
    hospital = (options.name, options.display_name, options.federation)
    if options.apply or options.bootstrap is None:
        before = None if options.new else verbs.enrolled(hub, options.name)
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
    replaced = " in place of the file that was there" if options.bootstrap.exists() else ""
    write_private(options.bootstrap, yaml.safe_dump(secret, sort_keys=False))
    say(
        f"Wrote {options.bootstrap}{replaced}: the site's first credentials, valid for 24 hours.\n"
        "The hospital applies the file within that time. Then delete the file.\n"
        "The hospital compares the hub's fingerprint below with you by telephone."
    )
    origin = (
        ""
        if options.hub_server
        else ", from your kubeconfig. If the site reaches the hub under another URL, run this again with --hub-server "
        "URL"
    )
    say(f"The file has this URL of the hub's API server: {secret['stringData']['server']}{origin}.")
    print(yaml.safe_dump(values, sort_keys=False), end="")
    return 0


def say_changes(server: str, name: str, before: Object | None, items: list[Object], *, applied: bool) -> None:
    """Tells the person how these manifests change the Participant at the hub, or that there is none yet."""
    if before is None:
        say(f"There is no Participant {name} at {server}: these are the manifests of a new hospital.")
        return
    [after] = [item for item in items if item["kind"] == "Participant"]
    changed = enrolment.changes(before, after)
    if not changed:
        say(f"{name} is enrolled at {server}. These manifests leave its Participant as it is.")
    else:
        say("\n  ".join([f"{name} is enrolled at {server}. These manifests change its Participant:", *changed]))
    if not applied:
        say("To see what they change of all objects, pipe them into: kubectl diff -f -")


def run_approve(hub: Cluster, options: argparse.Namespace) -> int:
    name = hospital(options.name)
    participant = printable(verbs.participant(hub, name))
    computed = enrolment.fingerprint_to_pin(participant)
    pinned = participant["spec"].get("keyFingerprint")
    say(f"{name} ({participant['spec'].get('displayName', '')}) publishes {computed}")
    if options.fingerprint:
        enrolment.check_expected(computed, options.fingerprint)
    if pinned == computed:
        say("The hub has pinned this fingerprint already.")
        return 0
    if pinned:
        say(f"Pinned until now: {pinned}. The hospital's keys have changed.")
    if not (options.fingerprint or options.yes) and not confirmed(
        "Does the hospital read out the same fingerprint? [y/N] "
    ):
        say("Nothing is pinned.")
        return 2
    verbs.pin(hub, name, computed)
    say("Pinned. Rounds of its federations can now ask this hospital.")
    return 0


def run_revoke(hub: Cluster, options: argparse.Namespace) -> int:
    name = hospital(options.name)
    if verbs.revoke(hub, name):
        outcome = (
            f"Revoked. Within seconds, {hub.server} accepts no new request of {name}. Rounds continue without {name}."
        )
    else:
        outcome = f"{name} is revoked already: {hub.server} accepts no token of {name}. Nothing was changed."
    say(
        f"{outcome}\nA watch that is open continues until its connection ends. To end it now, restart the hub's API "
        "server.\n"
        f"To give the hospital a new token:\n"
        f"  kubectl wardround enrol {name} --apply --hub-server URL --bootstrap FILE"
    )
    return 0


def run_watch(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    view: watch.View[Any]
    if kind == "FederatedRound":
        view = watch.VIEW

        def fetch() -> tuple[Object, Any]:
            round_, tasks = verbs.round_with_tasks(hub, name, namespace)
            return round_, watch.view(round_, tasks, system_clock())
    elif kind == "FederatedModel":
        view = watch_model.VIEW

        def fetch() -> tuple[Object, Any]:
            model = verbs.needed(hub, kind, name, namespace)
            return model, watch_model.view(model, system_clock())
    else:
        raise CommandError(
            "`watch` follows federatedround/NAME or federatedmodel/NAME. For other kinds, use kubectl wardround "
            "explain."
        )

    until = math.inf if options.timeout is None else time.monotonic() + options.timeout
    with hint_of_namespace(hub, options, kind, name):
        item, shown = fetch()
    uid = item["metadata"]["uid"]

    def look() -> Any:
        try:
            newer, newest = fetch()
        except MissingError:
            return view.deleted(shown)
        return newest if newer["metadata"]["uid"] == uid else view.deleted(shown)

    def wait() -> bool:
        """Pauses before the next look. Returns False if there is none: the round or the time is over."""
        left = until - time.monotonic()
        if shown.exit_code is not None or left <= 0:
            return False
        time.sleep(min(REFRESH_SECONDS, left))
        return True

    console = Console()
    if console.is_terminal:
        with Live(view.table(shown), console=console, auto_refresh=False) as live:
            while wait():
                shown = look()
                live.update(view.table(shown), refresh=True)
    else:
        before = None
        while True:
            for line in view.lines(before, shown):
                print(line, flush=True)
            if not wait():
                break
            before, shown = shown, look()
    if shown.exit_code is None:
        say(f"After {options.timeout:g} s the {view.subject} has not ended.")
    if shown.exit_code in (None, watch.FAILED) and shown.footer != watch.GONE:
        say(f"To see why, and who acts: kubectl wardround explain {kind.lower()}/{name} -n {namespace}")
    return watch.TIMED_OUT if shown.exit_code is None else shown.exit_code


def run_results(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    if kind != "FederatedRound":
        raise CommandError("`results` shows the numbers of a FederatedRound: federatedround/NAME.")
    namespace = options.namespace or hub.default_namespace
    with hint_of_namespace(hub, options, kind, name):
        shown = results.results(*verbs.round_with_tasks(hub, name, namespace))
    if options.output:
        print(results.text(shown, options.output, by_hospital=options.by_hospital), end="")
        return 0
    console = Console()
    # A pipe has no width: nothing is cut there.
    console = console if console.is_terminal else Console(width=PIPE_WIDTH)
    console.print(results.table_by_hospital(shown) if options.by_hospital else results.table(shown))
    return 0


def run_explain(cluster: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or (name if kind == "Participant" else cluster.default_namespace)
    with hint_of_namespace(cluster, options, kind, name):
        explained = explanation(cluster, kind, name, namespace)
    print(explain.text(explained))
    return 0


def explanation(cluster: Cluster, kind: str, name: str, namespace: str) -> explain.Explanation:
    now = system_clock()
    if kind == "FederatedRound":
        round_, tasks = verbs.round_with_tasks(cluster, name, namespace)
        leases = {each: verbs.lease(cluster, each) for each in {task["metadata"]["namespace"] for task in tasks}}
        return explain.explain_round(round_, tasks, leases, now)
    item = verbs.needed(cluster, kind, name, namespace)
    beat = verbs.lease(cluster, namespace) if kind in ("Participant", "RoundTask") else None
    if kind in ("RoundTask", "SiteTask"):
        return explain.explain_task(item, beat, now)
    return explain.explain_long_lived(item, beat, now)


@contextmanager
def hint_of_namespace(cluster: Cluster, options: argparse.Namespace, kind: str, name: str) -> Iterator[None]:
    """Adds a hint about the namespace to a MissingError, unless the person named one. A Participant needs no hint: its
    namespace is its name."""
    try:
        yield
    except MissingError as error:
        if options.namespace or kind == "Participant":
            raise
        raise MissingError(f"{error} {verbs.elsewhere(cluster, kind, name, cluster.default_namespace)}") from error


def seconds(text: str) -> float:
    """A number of seconds. Raises ValueError, from which argparse makes a message."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError
    return value


def share_of_rows(text: str) -> Decimal:
    """A share from 0 to 1. Raises ArgumentTypeError."""
    try:
        return share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from error


def patients(text: str) -> int:
    """A number of patients. Raises ValueError, from which argparse makes a message."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def target(text: str) -> tuple[str, str]:
    """Kind and name from KIND/NAME, also as `kubectl get -o name` prints it (KIND.GROUP/NAME). Raises CommandError."""
    word, _, name = text.partition("/")
    word = word.lower().removesuffix("." + API_VERSION.partition("/")[0])
    for kind, aliases in _ALIASES.items():
        if word in aliases and name:
            return kind, name
    raise CommandError(f"{text!r} is not KIND/NAME with one of: {', '.join(each[0] for each in _ALIASES.values())}.")


def hospital(text: str) -> str:
    """A Participant's name, from NAME or participant/NAME. Raises CommandError."""
    if "/" not in text:
        return text
    kind, name = target(text)
    if kind != "Participant":
        raise CommandError(f"{text!r} does not name a hospital: give its name, or participant/NAME.")
    return name


def confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError(
            "Standard input is not a terminal, so you cannot be asked to compare fingerprints. Give the fingerprint "
            "that the hospital read out: --fingerprint sha256:..."
        )
    return input(question).strip().lower() in ("y", "yes")


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read. An existing file is replaced, and its rights with it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def say(text: str) -> None:
    """Prints to stderr, because stdout may be piped into kubectl."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
