"""The lab's commands: parses arguments, calls other modules, prints."""

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
    options = _parser().parse_args(arguments)
    try:
        if options.run not in WITHOUT_ROOT:
            lifecycle.require_root()
        options.run(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def up(options: argparse.Namespace) -> None:
    lifecycle.up(options.sites)


def down(options: argparse.Namespace) -> None:
    lifecycle.down()


def status(options: argparse.Namespace) -> None:
    statuses = lifecycle.status()
    if not statuses:
        print("there is no lab: `python -m lab up` makes one")
    for each in statuses:
        words = ["Ready" if each.ready else "not ready"]
        words += ["cut off"] if each.cut else []
        words += [f"stopped: {', '.join(each.stopped)}"] if each.stopped else []
        print(
            f"{each.cluster.name:8} {each.cluster.server:26} {sum(each.components.values()):5} MB  {'; '.join(words)}"
        )


def left(options: argparse.Namespace) -> None:
    if text := lifecycle.left():
        print(text)


def kubeconfig(options: argparse.Namespace) -> None:
    print(named(options.cluster).kubeconfig)


def cut(options: argparse.Namespace) -> None:
    network.cut(named(options.cluster))


def heal(options: argparse.Namespace) -> None:
    network.heal(named(options.cluster))


def block_inbound(options: argparse.Namespace) -> None:
    network.inbound(named(options.cluster), ())


def allow_inbound(options: argparse.Namespace) -> None:
    network.inbound(named(options.cluster), None)


def usual_inbound(options: argparse.Namespace) -> None:
    cluster = named(options.cluster)
    network.inbound(cluster, network.usual_inbound(cluster))


def stop(options: argparse.Namespace) -> None:
    lifecycle.open_existing(options.cluster).stop(options.component)


def kill(options: argparse.Namespace) -> None:
    lifecycle.open_existing(options.cluster).process(options.component).stop(grace=0)


def start(options: argparse.Namespace) -> None:
    running = lifecycle.open_existing(options.cluster)
    running.start(options.component)
    running.await_usable(options.component)


def restart(options: argparse.Namespace) -> None:
    stop(options)
    start(options)


def import_images(options: argparse.Namespace) -> None:
    for name in options.cluster or [cluster.name for cluster in existing()]:
        lifecycle.open_existing(name).import_image(options.archive)


def accelerators(options: argparse.Namespace) -> None:
    lifecycle.open_existing(options.cluster).offer_accelerators(options.count, options.resource)


def volume(options: argparse.Namespace) -> None:
    running = lifecycle.open_existing(options.cluster)
    namespace, _, claim = options.claim.partition("/")
    print(volumes.create(running.cluster, running.client, namespace, claim, options.size))


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
    command("status", status, "print the state of all clusters")
    command("left", left, "print how many clusters still run, their memory, and how to stop them")
    command("kubeconfig", kubeconfig, "print the path of a cluster's kubeconfig", "cluster")
    command("cut", cut, "silently drop all traffic between a cluster and the others", "cluster")
    command("heal", heal, "undo `cut`", "cluster")
    command("block-inbound", block_inbound, "block all connections to a cluster (a site's usual state)", "cluster")
    command("allow-inbound", allow_inbound, "allow all connections to a cluster", "cluster")
    command("usual-inbound", usual_inbound, "undo `block-inbound` and `allow-inbound`", "cluster")
    command("stop", stop, "stop a component of a cluster", "component", "cluster")
    command("kill", kill, "kill a component of a cluster (SIGKILL)", "component", "cluster")
    command("start", start, "start a component of a cluster", "component", "cluster")
    command("restart", restart, "stop and start a component of a cluster", "component", "cluster")
    gpu = command("gpu", accelerators, "let a cluster's node claim accelerators that it does not have", "cluster")
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
