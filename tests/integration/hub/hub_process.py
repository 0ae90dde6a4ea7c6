"""The hub's operator as a process, for measuring: what `main` does, with the client's address from outside."""

from __future__ import annotations

import json
import sys

from wardround.clock import system_draw
from wardround.hub.operator import serve
from wardround.hub.settings import Settings
from wardround.kube.client import Client
from wardround.kube.process import run_until_terminated

if __name__ == "__main__":
    instructions = json.loads(sys.stdin.read())
    client = Client(
        instructions["server"],
        instructions["ca"],
        lambda: str(instructions["token"]),
        instructions["namespace"],
        draw=system_draw,
    )
    run_until_terminated(serve(Settings(**instructions["settings"]), client, int(instructions["port"])))
