"""Training code of a test, carried by a round's parameters, and the one command that runs it.

A hospital admits only commands that it lists, word for word, so code cannot be part of a command. Hospitals list this
one, and the parameters that it reads, only while a test needs it: who lists such a command allows any code, which is
what these tests are about.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.policy import parameters, policy
from wardround.api.federatedround import DEFAULT_COMMAND

LOADER = (
    "import base64,json,zlib;p=json.load(open('/wardround/task/task.json'))['parameters'];"
    "exec(zlib.decompress(base64.b85decode(''.join(p[n]for n in sorted(p)if n[:4]=='code'))))"
)
COMMAND = ["python", "-c", LOADER]
LONGEST_VALUE, MOST_PIECES = 1024, 16


def carried(source: str) -> dict[str, str]:
    """The parameters that `source` travels in. It finds the verb as its last argument."""
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    pieces = [packed[at : at + LONGEST_VALUE] for at in range(0, len(packed), LONGEST_VALUE)]
    assert len(pieces) <= MOST_PIECES
    return {_piece(number): piece for number, piece in enumerate(pieces)}


@contextmanager
def listed(*sites: str) -> Iterator[None]:
    """These hospitals list COMMAND beside the built-in trainer's, in their chart's values, until this is over."""
    pieces = [{"name": _piece(number)} for number in range(MOST_PIECES)]
    with policy(sites, commands=[list(DEFAULT_COMMAND), COMMAND], parameters=parameters(*pieces)):
        yield


def _piece(number: int) -> str:
    return f"code{number:02}"
