"""The hub's operator as a process, for measuring: what `main` does, with the client's address from outside."""

from __future__ import annotations

import json
import sys

from wardround.hub.operator import serve
from wardround.hub.settings import Settings
from wardround.kube.client import Client
from wardround.kube.process import run_until_terminated

if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    client = Client(given["server"], given["ca"], lambda: str(given["token"]), given["namespace"])
    run_until_terminated(serve(Settings(**given["settings"]), client, int(given["port"])))
