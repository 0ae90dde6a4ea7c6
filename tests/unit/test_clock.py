"""Only clock.py reads the machine's clock and draws random numbers. The simulation could not control other readers.

`sealing` draws its own keys, salts and nonces: its docstring says why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wardround

ROOT = Path(wardround.__file__).parent
# Functions that return the time of day, or random numbers, by the name of their module or class.
FORBIDDEN = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("os", "urandom"),
    ("os", "getrandom"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("np", "random"),
    ("numpy", "random"),
}
# Modules that only make random numbers.
MODULES = {"random", "secrets", "numpy.random"}
# The functions and the method by which the package cryptography makes keys.
KEYS = {"generate_key", "generate_private_key"}
METHOD = "PrivateKey.generate"
ALLOWED = {
    "clock.py": ["datetime.now", "import random", "import secrets"],
    "sealing/body.py": ["import secrets"],
    "sealing/keys.py": ["ec.generate_private_key", "import secrets"],
    "sealing/pages.py": ["AESGCM.generate_key", "import secrets"],
}


def uses(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                yield from (f"import {each.name}" for each in names if each.name in MODULES)
            case ast.ImportFrom(module=module, names=names):
                yield from (
                    f"{module}.{each.name}"
                    for each in names
                    if module in MODULES or _forbidden(module or "", each.name)
                )
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if _forbidden(owner, name):
                    yield f"{owner}.{name}"


def _forbidden(owner: str, name: str) -> bool:
    return (owner, name) in FORBIDDEN or name in KEYS or f"{owner}.{name}".endswith(METHOD)


def test_only_the_clock_module_and_sealing_read_the_time_of_day_and_random_numbers() -> None:
    all_uses = {
        str(path.relative_to(ROOT)): sorted(uses(path.read_text("utf-8"))) for path in sorted(ROOT.rglob("*.py"))
    }
    assert {path: each for path, each in all_uses.items() if each} == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "import secrets",
        "import random as jitter",
        "from secrets import token_hex",
        "from random import random as draw",
        "from uuid import uuid4",
        "import uuid; uuid.uuid4()",
        "import os; os.urandom(8)",
        "from os import urandom",
        "import datetime; datetime.datetime.now()",
        "from time import time",
        "import numpy as np; np.random.default_rng()",
        "from numpy import random",
        "X25519PrivateKey.generate()",
        "ec.generate_private_key(curve)",
    ],
)
def test_each_way_to_read_them_is_seen(code: str) -> None:
    assert list(uses(code))


def test_a_uid_of_given_bytes_is_no_use() -> None:
    assert not list(uses("import uuid; uuid.UUID(bytes=random_bytes(16), version=4)"))
