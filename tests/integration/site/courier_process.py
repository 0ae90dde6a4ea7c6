"""The courier as a process of its own, for measuring: what `main` does, with the client's address from outside."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from wardround.clock import system_draw
from wardround.courier.main import run
from wardround.courier.settings import Pins, Settings
from wardround.kube.client import Client

if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    settings = Settings(Pins(*given["pins"]), Path(given["workspace"]))
    client = Client(given["server"], given["ca"], lambda: str(given["token"]), given["namespace"], draw=system_draw)
    asyncio.run(run(settings, client, int(given["port"])))
