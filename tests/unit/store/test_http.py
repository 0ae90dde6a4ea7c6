"""Our processes read the system's authorities only where a store has none of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import certificates

ROOT = Path(__file__).parents[3]
SCRIPT = """
import importlib, json, os, ssl, sys
importlib.import_module(sys.argv[1])
from wardround.clock import system_draw
from wardround.store.transfer import StoreClient
import aiohttp.connector as connector
contexts = [connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED]
print(json.dumps({
    "imported": [each.cert_store_stats()["x509"] for each in contexts],
    "system": StoreClient("https://store.example", draw=system_draw)._tls.cert_store_stats()["x509"],
    "variable": os.environ.get("SSL_CERT_FILE"),
    "folder": os.environ.get("SSL_CERT_DIR"),
}))
"""


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("process", ["aggregate.main", "courier.main", "hub.operator", "site.operator"])
def test_importing_a_process_reads_no_authorities_and_changes_no_variable(
    tmp_path: Path, process: str, named: bool
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(certificates(tmp_path))
    environment = {key: value for key, value in os.environ.items() if key not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    environment |= {"PYTHONPATH": f"{ROOT}/operator", **({"SSL_CERT_FILE": str(authorities)} if named else {})}
    command = [sys.executable, "-c", SCRIPT, f"wardround.{process}"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert answer["imported"] == [0, 0]
    assert (answer["variable"], answer["folder"]) == (str(authorities) if named else None, None)
    if named:
        assert answer["system"] == 1
