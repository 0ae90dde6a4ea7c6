"""Training code of a test, carried by a round's parameters, and the one command that runs it.

A hospital admits only commands that it lists, word for word, so code cannot be part of a command. Hospitals list this
one only while a test needs it: who lists such a command allows any code, which is what these tests are about.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import yaml

from lab import install
from lab.install import SITE_NAMESPACE
from lab.topology import named
from wardround.api.federatedround import DEFAULT_COMMAND

LOADER = (
    "import base64,json,zlib;p=json.load(open('/wardround/task/task.json'))['parameters'];"
    "exec(zlib.decompress(base64.b85decode(''.join(p[n]for n in sorted(p)if n[:4]=='code'))))"
)
COMMAND = ["python", "-c", LOADER]
LONGEST_VALUE = 1024


def carried(source: str) -> dict[str, str]:
    """The parameters that `source` travels in. It finds the verb as its last argument."""
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    pieces = [packed[at : at + LONGEST_VALUE] for at in range(0, len(packed), LONGEST_VALUE)]
    return {f"code{number:02}": piece for number, piece in enumerate(pieces)}


@contextmanager
def listed(*sites: str) -> Iterator[None]:
    """These hospitals list COMMAND beside the built-in trainer's, in their chart's values, until this is over."""
    _list(sites, COMMAND)
    try:
        yield
    finally:
        _list(sites)


def _list(sites: Sequence[str], *more: list[str]) -> None:
    def upgrade(site: str) -> None:
        given = install.WRITTEN / f"values-{site}-wardround-site.yaml"
        values = yaml.safe_load(given.read_text("utf-8"))
        values["policy"]["commands"] = [list(DEFAULT_COMMAND), *more]
        install.helm(named(site), "wardround-site", "site", SITE_NAMESPACE, values)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, sites))
