"""The lab's commands. Only reads arguments and prints; what they do stands in the modules called."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import lifecycle, network, volumes
from lab.errors import LabError
from lab.node import COMPONENTS
from lab.topology import existing, named

Command = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.run not in WITHOUT_ROOT:
            lifecycle.require_root()
        chosen.run(chosen)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def up(chosen: argparse.Namespace) -> None:
    lifecycle.up(chosen.sites)


def down(chosen: argparse.Namespace) -> None:
    lifecycle.down()


def status(chosen: argparse.Namespace) -> None:
    found = lifecycle.status()
    if not found:
        print("no lab here: `python -m lab up` makes one")
    for each in found:
        words = ["Ready" if each.ready else "not ready"]
        words += ["cut off"] if each.cut else []
        words += [f"stopped: {', '.join(each.stopped)}"] if each.stopped else []
        print(
            f"{each.cluster.name:8} {each.cluster.server:26} {sum(each.components.values()):5} MB  {'; '.join(words)}"
        )


def left(chosen: argparse.Namespace) -> None:
    if said := lifecycle.left():
        print(said)


def kubeconfig(chosen: argparse.Namespace) -> None:
    print(named(chosen.cluster).kubeconfig)


def cut(chosen: argparse.Namespace) -> None:
    network.cut(named(chosen.cluster))


def heal(chosen: argparse.Namespace) -> None:
    network.heal(named(chosen.cluster))


def block_inbound(chosen: argparse.Namespace) -> None:
    network.inbound(named(chosen.cluster), ())


def allow_inbound(chosen: argparse.Namespace) -> None:
    network.inbound(named(chosen.cluster), None)


def usual_inbound(chosen: argparse.Namespace) -> None:
    cluster = named(chosen.cluster)
    network.inbound(cluster, network.usual_inbound(cluster))


def stop(chosen: argparse.Namespace) -> None:
    lifecycle.open_existing(chosen.cluster).stop(chosen.component)


def kill(chosen: argparse.Namespace) -> None:
    lifecycle.open_existing(chosen.cluster).process(chosen.component).stop(grace=0)


def start(chosen: argparse.Namespace) -> None:
    running = lifecycle.open_existing(chosen.cluster)
    running.start(chosen.component)
    running.await_usable(chosen.component)


def restart(chosen: argparse.Namespace) -> None:
    stop(chosen)
    start(chosen)


def import_images(chosen: argparse.Namespace) -> None:
    for name in chosen.cluster or [cluster.name for cluster in existing()]:
        lifecycle.open_existing(name).import_image(chosen.archive)


def accelerators(chosen: argparse.Namespace) -> None:
    lifecycle.open_existing(chosen.cluster).offer_accelerators(chosen.count, chosen.resource)


def volume(chosen: argparse.Namespace) -> None:
    running = lifecycle.open_existing(chosen.cluster)
    namespace, _, claim = chosen.claim.partition("/")
    print(volumes.create(running.cluster, running.client, namespace, claim, chosen.size))


WITHOUT_ROOT = (kubeconfig,)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=sys.modules["lab"].__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Command, text: str, *positional: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        for each in positional:
            made.add_argument(each, choices=COMPONENTS if each == "component" else None)
        return made

    command("up", up, "start all clusters").add_argument("--sites", type=int, default=3)
    command("down", down, "stop all clusters and remove everything that they made")
    command("status", status, "what runs")
    command("left", left, "say what still runs, what memory it takes and how to stop it")
    command("kubeconfig", kubeconfig, "print the path of a cluster's kubeconfig", "cluster")
    command("cut", cut, "drop all traffic between a cluster and the others, without an answer", "cluster")
    command("heal", heal, "undo `cut`", "cluster")
    command(
        "block-inbound", block_inbound, "let nobody open connections to a cluster (a site's usual state)", "cluster"
    )
    command("allow-inbound", allow_inbound, "let everybody open connections to a cluster", "cluster")
    command("usual-inbound", usual_inbound, "undo `block-inbound` and `allow-inbound`", "cluster")
    command("stop", stop, "stop a component of a cluster", "component", "cluster")
    command("kill", kill, "end a component of a cluster without warning", "component", "cluster")
    command("start", start, "start a component of a cluster", "component", "cluster")
    command("restart", restart, "stop and start a component of a cluster", "component", "cluster")
    gpu = command("gpu", accelerators, "let a cluster's node offer pretend accelerators", "cluster")
    gpu.add_argument("count", type=int)
    gpu.add_argument("--resource", default="nvidia.com/gpu")
    made = command("volume", volume, "make a volume for a claim and print its folder", "cluster")
    made.add_argument("claim", metavar="NAMESPACE/CLAIM")
    made.add_argument("--size", default=volumes.DEFAULT_SIZE)
    within = commands.add_parser("images", help="`images import ARCHIVE [CLUSTER ...]`")
    imports = within.add_subparsers(required=True).add_parser("import")
    imports.set_defaults(run=import_images)
    imports.add_argument("archive", type=Path)
    imports.add_argument("cluster", nargs="*", help="default: all")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
