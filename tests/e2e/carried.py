"""Training code of a test, carried by a round's parameters, and the command that runs it.

A hospital admits only commands that it lists, so a command cannot carry code. In e2e tests, hospitals also list this
command and its parameters. A hospital that lists such a command allows any code, and that is what these tests need.
"""

from __future__ import annotations

import base64
import zlib

LOADER = (
    "import base64,json,zlib;p=json.load(open('/wardround/task/task.json'))['parameters'];"
    "exec(zlib.decompress(base64.b85decode(''.join(p[n]for n in sorted(p)if n[:4]=='code'))))"
)
COMMAND = ["python", "-c", LOADER]
LONGEST_VALUE = 1024
PIECES = tuple(f"code{number:02}" for number in range(16))


def carried(source: str) -> dict[str, str]:
    """The parameters that carry `source`. The code gets the verb as its last argument."""
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    pieces = [packed[at : at + LONGEST_VALUE] for at in range(0, len(packed), LONGEST_VALUE)]
    assert len(pieces) <= len(PIECES)
    return dict(zip(PIECES, pieces, strict=False))
