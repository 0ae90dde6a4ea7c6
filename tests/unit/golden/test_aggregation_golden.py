"""The aggregation Job as the API server sees it. Intended changes: `UPDATE_GOLDEN=1 pytest tests/unit/golden`."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from wardround.manifests.aggregation import AggregationJob, build, secret

JOB = AggregationJob(
    namespace="wardround-hub",
    round_namespace="breast-cancer",
    round_name="train-1",
    round_uid="0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
    number=1,
    image="registry.example/wardround/operator@sha256:" + "a" * 64,
    scratch_bytes=(300 << 20) + 1,
)


def test_the_job_and_its_secret_match_the_golden_file() -> None:
    golden = Path(__file__).with_name("aggregation.yaml")
    made = [build(JOB), secret(JOB, b'{"round":{}}')]
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump_all(made, sort_keys=False, explicit_start=True, width=120))
    assert list(yaml.safe_load_all(golden.read_text())) == made
