"""Puts this checkout's kubectl, helm and Wardround's programs into build/bin, for people who look around.

The names of the lab's hosts are known only inside of the lab. So the program `in-lab` runs a command there.
"""

import sys
from pathlib import Path
from shlex import quote

from lab import toolchain
from lab.topology import HOST_NAMES, ROOT, named

FOLDER = ROOT / "build" / "bin"
IN_LAB = FOLDER / "in-lab"
_HOSTS = FOLDER / "in-lab.hosts"
MODULES = {"kubectl-wardround": "wardround.kubectl", "wardround": "wardround"}


def write() -> None:
    """Write build/bin. Replaces existing links, because the programs may have been built again. Raises LabError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm"):
        link = FOLDER / name
        link.unlink(missing_ok=True)
        link.symlink_to(toolchain.tool(name))
    for name, module in MODULES.items():
        _program(FOLDER / name, of_checkout(module))
    hub = named("hub")
    _HOSTS.write_text(f"127.0.0.1 localhost\n{hub.wan} {' '.join(HOST_NAMES)}\n", encoding="ascii")
    _program(IN_LAB, in_lab(hub.netns, _HOSTS))


def of_checkout(module: str) -> str:
    """A program that runs a module of this checkout."""
    modules, python = quote(str(ROOT / "operator")), quote(sys.executable)
    return f'#!/bin/sh\nPYTHONPATH={modules} exec {python} -m {module} "$@"\n'


def in_lab(network: Path, hosts: Path) -> str:
    """A program that runs a command on a cluster's network, with this file of hosts. It becomes root by sudo."""
    # sudo sets a PATH of its own.
    return f"""#!/bin/sh
[ "$(id -u)" = 0 ] || exec sudo -E env "PATH=$PATH" "$0" "$@"
exec nsenter --net={quote(str(network))} -- unshare --mount --propagation=private \\
  sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' {quote(str(hosts))} "$@"
"""


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
