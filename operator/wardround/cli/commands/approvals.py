"""The verbs review, deny and withdraw of a hospital, and approve for a task, a model or a sweep: read, ask, write."""

import argparse
from dataclasses import replace

from wardround.api import approval, dataschema, sitetask
from wardround.api import site as sites
from wardround.api.approval import MOST_TASKS
from wardround.api.site import Policy
from wardround.cli import approvals, approved_sweeps, dataschemas, objects, reviews, verbs
from wardround.cli.approvals import Reviewed
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError, ForbiddenError
from wardround.cli.terminal import confirmed, say
from wardround.clock import system_clock
from wardround.plans.terms import SeriesTerms, SweepTerms

NO_TERMINAL = (
    "The command cannot ask you, because standard input is not a terminal. The lines above say what the task asks "
    "for. If the hospital agrees, copy a command with --uid from the lines above, and run this command."
)

NO_TERMINAL_FOR_A_SWEEP = (
    "The command cannot ask you, because standard input is not a terminal. The lines above say what the models ask "
    "for. If the hospital agrees, copy the command with --digest from the lines above, and run this command."
)


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    reviewing = parsers.add_parser(
        "review",
        parents=[shared],
        help="show what a task and its model ask of this hospital",
        description="Shows in words what a SiteTask asks for, what the whole series of its model asks for, which "
        "Approvals there are, and the commands that approve or deny.",
    )
    reviewing.add_argument("target", metavar="sitetask/NAME")
    reviewing.set_defaults(run=run_review)
    denying = parsers.add_parser(
        "deny",
        parents=[shared],
        help="refuse a task or a model at this hospital",
        description="Denies a task: the site then refuses the task, or ends it if the site has accepted it before. "
        "With --model, the site refuses all tasks of the task's model that it has not accepted yet.",
    )
    denying.add_argument("target", metavar="sitetask/NAME")
    denying.add_argument("--model", action="store_true", help="deny all tasks of the model, whatever they ask for")
    denying.set_defaults(run=run_deny)
    withdrawing = parsers.add_parser(
        "withdraw",
        parents=[shared],
        help="withdraw an approval or a denial at this hospital",
        description="Withdraws an approval or a denial. If you withdraw an approval, unfinished tasks that need it "
        "fail, and the site operator deletes their Jobs. Updates that the courier has sent stay at the hub.",
    )
    withdrawing.add_argument("target", metavar="sitetask/NAME|approval/NAME")
    withdrawing.add_argument(
        "--model", action="store_true", help="withdraw all Approvals of the task's model, and no denial"
    )
    withdrawing.set_defaults(run=run_withdraw)


def add_to_approve(approve: argparse.ArgumentParser) -> None:
    """The options of the verb approve for a task or a model."""
    approve.add_argument("--uid", help="the UID of the SiteTask: approve only this SiteTask, without a question")
    approve.add_argument(
        "--model", action="store_true", help="approve all tasks of the model's series that have the terms of this task"
    )
    approve.add_argument(
        "--sweep",
        action="store_true",
        help="approve by one Approval all models whose tasks wait here and ask for the same as this task's model, but "
        "for the values of parameters. Shows the models first",
    )
    approve.add_argument(
        "--digest",
        metavar="sha256:..",
        help="with --sweep: approve without a question if the terms of the models have this digest",
    )
    most = f"at most {MOST_TASKS}; default: twice as many as the series plan, because each attempt counts"
    approve.add_argument(
        "--rounds", type=int, metavar="N", help=f"how many Train and Statistics tasks the Approval covers: {most}"
    )
    approve.add_argument(
        "--evaluations", type=int, metavar="N", help=f"how many Evaluate tasks the Approval covers: {most}"
    )
    approve.add_argument(
        "--until",
        metavar="YYYY-MM-DD",
        help=f"the Approval ends at the beginning of this day in UTC; default: in {approvals.DAYS} days",
    )


def names_a_task(text: str) -> bool:
    """Whether the target of `approve` is a SiteTask, and not a hospital."""
    return "/" in text and target(text)[0] == sitetask.KIND


def namespaces_with_task(cluster: Cluster, name: str, namespace: str | None) -> list[str]:
    """The namespaces that have a SiteTask of this name, as far as the person may see them. `namespace`: None to look in
    all of them."""
    try:
        listed = cluster.list(sitetask.KIND, namespace, fields=f"metadata.name={name}")
        return sorted(each["metadata"]["namespace"] for each in listed)
    except CommandError:  # for example a hub, which has no SiteTasks
        own = namespace or cluster.default_namespace
    try:
        return [own] if cluster.get(sitetask.KIND, name, own) else []
    except CommandError:
        return []


def run_review(site: Cluster, options: argparse.Namespace) -> int:
    print("\n".join(reviews.review(_with_tasks(site, _reviewed(site, options, options.target)), system_clock())))
    return 0


def run_approve(site: Cluster, options: argparse.Namespace) -> int:
    if options.sweep:
        return _approve_sweep(site, options)
    if options.digest:
        raise CommandError("--digest is only for --sweep. To approve a task or a model without a question, give --uid.")
    known, now = _with_tasks(site, _reviewed(site, options, options.name)), system_clock()
    bounds = {"rounds": options.rounds, "evaluations": options.evaluations, "until": options.until}
    uid = known.task.metadata.uid
    if options.uid and options.uid != uid:
        raise CommandError(
            f"Nothing was written: this SiteTask has the UID {uid}, and not the one after --uid. Either that is the "
            "UID of another task or hospital, or the hub has replaced the SiteTask since you have reviewed it. "
            f"Read what this one asks for: kubectl wardround review {known.where}."
        )
    made = None
    if options.model:
        # Before the question: nobody agrees to what cannot be.
        made = approvals.approve_model(known, **bounds, author=site.user(), now=now)
    else:
        approvals.require_open(known)
    if not (options.uid or options.yes):
        print("\n".join(reviews.review(known, now, **bounds)))
        if not confirmed("Does the hospital agree? [y/N] ", NO_TERMINAL):
            say("Nothing is approved.")
            return 2
    elif made is not None:
        _warn(approvals.series_terms(known), made)
    if made is None:
        _decide(site, known, approved=True)
        say(approvals.approved(known))
        return 0
    site.create(made)
    say(f"Approved until {made['spec']['until']}. To end the approval: {_withdrawal(made['metadata'])}")
    return 0


def _approve_sweep(site: Cluster, options: argparse.Namespace) -> int:
    if options.model or options.uid:
        raise CommandError(
            "--model and --uid do not go with --sweep. To approve the sweep without a question, give --digest."
        )
    known, now = _reviewed(site, options, options.name), system_clock()
    bounds = {"rounds": options.rounds, "evaluations": options.evaluations, "until": options.until}
    tasks = _tasks(site, known)
    known = approvals.with_tasks(replace(known, schemas=_schemas(site, known)), tasks)
    chosen = approved_sweeps.sweep(known, tasks)
    if options.digest and options.digest != chosen.digest:
        raise CommandError(
            f"Nothing was approved: the models of the sweep now ask for something else (digest {chosen.digest}) "
            f"than what --digest names. Read it again: kubectl wardround approve {known.where} --sweep."
        )
    made = approved_sweeps.approve_sweep(known, chosen, **bounds, author=site.user(), now=now)
    if not (options.digest or options.yes):
        print("\n".join(approved_sweeps.review(known, chosen, **bounds, now=now)))
        if not confirmed("Does the hospital agree? [y/N] ", NO_TERMINAL_FOR_A_SWEEP):
            say("Nothing is approved.")
            return 2
    else:
        _warn(chosen.terms, made)
    site.create(made)
    say(
        f"Approved {len(chosen.terms.models)} models until {made['spec']['until']}. To end the approval: "
        f"{_withdrawal(made['metadata'])}"
    )
    return 0


def _warn(asks: SeriesTerms | SweepTerms, made: Object) -> None:
    """For a person who is not asked, and does not read what the Approval covers."""
    for line in approvals.too_low(asks, made["spec"]):
        say(line)


def run_deny(site: Cluster, options: argparse.Namespace) -> int:
    known = _reviewed(site, options, options.target)
    if not options.model:
        _decide(site, known, approved=False)
        say(approvals.denied(known))
        return 0
    made = approvals.deny_model(known, site.user())
    site.create(made)
    say(f"Denied. To end the denial: {_withdrawal(made['metadata'])}")
    return 0


def run_withdraw(site: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or site.default_namespace
    if kind == approval.KIND:
        if options.model:
            raise CommandError("--model goes only with sitetask/NAME. To withdraw approval/NAME, leave --model out.")
        return _withdraw(site, namespace, [name])
    known = _reviewed(site, options, options.target)
    if options.model:
        _withdraw(site, namespace, approvals.withdrawable(known))
        for line in approvals.denials_left(known):
            say(line)
        return 0
    if not known.task.spec.approved:
        raise CommandError(
            f"There is nothing to withdraw, because nobody has approved {known.where} alone. To see the Approvals "
            f"that can cover the task: kubectl wardround review {known.where}. To withdraw one of them: kubectl "
            f"wardround withdraw approval/NAME -n {known.task.metadata.namespace}."
        )
    _decide(site, known, approved=False)
    say(f"Withdrawn: {known.where}")
    say(
        "The task fails if it has not ended yet, and the site operator deletes its Job. An update that the courier has "
        "sent stays at the hub. The withdrawal also counts for further attempts."
    )
    return 0


def _withdraw(site: Cluster, namespace: str, names: list[str]) -> int:
    user, verdicts = site.user(), set()
    for each in names:
        verdicts.add(verbs.needed(site, approval.KIND, each, namespace)["spec"]["verdict"])
        site.patch(approval.KIND, each, namespace, {"spec": {"withdrawnBy": user}})
        say(f"Withdrawn: approval/{each} -n {namespace}")
    for verdict in sorted(verdicts):
        say(approvals.AFTER_WITHDRAWAL[verdict])
    return 0


def _withdrawal(meta: dict[str, str]) -> str:
    return f"kubectl wardround withdraw approval/{meta['name']} -n {meta['namespace']}"


def _with_tasks(site: Cluster, known: Reviewed) -> Reviewed:
    shown = replace(known, schemas=_schemas(site, known), policy=_policy(site, known))
    return approved_sweeps.with_tasks(shown, _tasks(site, known))


def _schemas(site: Cluster, known: Reviewed) -> dict[str, str]:
    """A person who only approves may not list DataSchemas, and then reads digests alone."""
    try:
        return dataschemas.names(site.list(dataschema.KIND, known.task.metadata.namespace))
    except ForbiddenError:
        return {}


def _policy(site: Cluster, known: Reviewed) -> Policy | None:
    """A person who may not read the Site does not see what its policy refuses."""
    item = verbs.site_of(site, known.task.metadata.namespace or "")
    return None if item is None else objects.read(sites.parse, item).spec.policy


def _tasks(site: Cluster, known: Reviewed) -> list[Object]:
    return site.list(sitetask.KIND, known.task.metadata.namespace)


def _reviewed(site: Cluster, options: argparse.Namespace, text: str) -> Reviewed:
    kind, name = target(text)
    if kind != sitetask.KIND:
        raise CommandError(f"{text!r} is no SiteTask: give sitetask/NAME.")
    namespace = options.namespace or site.default_namespace
    with hint_of_namespace(site, options, kind, name):
        item = verbs.needed(site, kind, name, namespace)
    return approvals.reviewed(item, site.list(approval.KIND, namespace))


def _decide(site: Cluster, known: Reviewed, *, approved: bool) -> None:
    """Writes a person's decision about one task. The UID makes it fail if the hub has replaced the task."""
    meta = known.task.metadata
    decision = {"approved": approved, "denied": not approved, "decidedBy": site.user()}
    site.patch(sitetask.KIND, meta.name, meta.namespace, {"metadata": {"uid": meta.uid}, "spec": decision})
