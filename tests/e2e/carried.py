"""Training code of a test, carried by a round's parameters, and the one command that runs it.

A hospital admits only commands that it lists, word for word, so code cannot be part of a command. In e2e tests they
list this one beside the trainer's, and the parameters that it reads: who lists such a command allows any code, which is
what these tests are about.
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
    """The parameters that `source` travels in. It finds the verb as its last argument."""
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    pieces = [packed[at : at + LONGEST_VALUE] for at in range(0, len(packed), LONGEST_VALUE)]
    assert len(pieces) <= len(PIECES)
    return dict(zip(PIECES, pieces, strict=False))
