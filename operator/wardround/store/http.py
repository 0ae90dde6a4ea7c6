"""Imports aiohttp without the system's certificate authorities. Knows no store. The clients of API servers use it too.

aiohttp reads all of them twice when it is imported, for contexts that our clients never use: each client has a context
of its own. That is a tenth of the start-up of an aggregation, and 2 MB of each process.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

_PATHS = ssl.get_default_verify_paths()
# OpenSSL reads the default authorities from the places that these variables name.
VARIABLES = (_PATHS.openssl_cafile_env, _PATHS.openssl_capath_env)


@contextmanager
def _without_authorities() -> Iterator[None]:
    kept = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, os.devnull))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _without_authorities():
    import aiohttp

__all__ = ["aiohttp"]
