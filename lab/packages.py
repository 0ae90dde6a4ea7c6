"""Finds which Debian packages the lab and the tests lack, and installs them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from lab.errors import LabError

# Package by program. A program shows that its package is installed, also on distributions with other package names.
PROGRAMS = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "openssl": "openssl",
    "runc": "runc",
}
# Tests of HTML pages need it, and the lab does not.
BROWSER = {"chromium": "chromium"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing(programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    return sorted(package for program, package in programs.items() if not shutil.which(program, path=SYSTEM_PATH))


def require() -> None:
    """Raises LabError with the names of missing packages."""
    if absent := missing():
        raise LabError(f"missing: {' '.join(absent)}. `make packages` installs them (Debian, Ubuntu)")


def install(programs: Mapping[str, str]) -> None:
    """Install missing packages. Raises LabError if that fails."""
    absent = missing(programs)
    if not absent:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"this machine has no apt-get: install {' '.join(absent)} with its own package manager")
    rights = [] if os.geteuid() == 0 else ["sudo"]
    print(f"installing Debian packages: {' '.join(absent)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *absent]):
        done = subprocess.run([*rights, "apt-get", *arguments], env=environment)
        if done.returncode:
            raise LabError(f"`apt-get {arguments[0]}` failed with {done.returncode}: see its output above")


if __name__ == "__main__":
    try:
        install(BROWSER if sys.argv[1:] == ["browser"] else PROGRAMS)
    except LabError as error:
        sys.exit(str(error))
