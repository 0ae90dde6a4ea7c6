"""The Job that a site operator builds, and whether the site's API server admits it now."""

from __future__ import annotations

from typing import Any

import yaml

from lab.install import SITE_NAMESPACE
from tests.e2e.accounts import account, administrator
from tests.integration.api import jobs
from tests.integration.api.apiserver import Api, Refused
from tests.integration.api.objects import OURS, ROOT, TRAINER
from wardround.api import dataset_text, parameters_text, schema_text
from wardround.api import site as sites

Object = dict[str, Any]


def training_job(
    site: Api, namespace: str, case: str, spec: Object | None = None, schema: Object | None = None
) -> Object:
    """The Job of a golden file, with this site's images and parameters. `spec`, `schema`: specs in place of those of
    its Dataset and its DataSchema."""
    deployment = site.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/site-operator")
    [ours] = [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]
    policy = sites.parse(site.get("Site", "site", namespace)).spec.policy
    [theirs, *_] = policy.images
    text = (ROOT / f"tests/unit/golden/training-{case}.yaml").read_text("utf-8")
    job: Object = yaml.safe_load(text.replace(OURS, ours).replace(TRAINER, theirs))
    job["metadata"]["namespace"] = namespace
    spec = spec or site.get("Dataset", "breast", namespace)["spec"]
    jobs.claim("dataset")(job)["claimName"] = spec["claimName"]
    jobs.variable("WARDROUND_DATASET")(job)["value"] = dataset_text.dump(spec).replace("$", "$$")
    schema = schema or site.get("DataSchema", spec["schemaName"], namespace)["spec"]
    jobs.variable("WARDROUND_SCHEMA")(job)["value"] = schema_text.dump(schema).replace("$", "$$")
    allowed = parameters_text.dump(policy.parameters).replace("$", "$$")
    jobs.variable("WARDROUND_ALLOWED_PARAMETERS")(job)["value"] = allowed
    return job


def is_admitted(cluster: str) -> bool:
    """Whether the API server admits a Job by the current Site. It compiles changed policies a second or so later."""
    with administrator(cluster) as site, account(cluster, SITE_NAMESPACE, "site-operator") as operator:
        try:
            operator.create(training_job(site, SITE_NAMESPACE, "train"), dry_run=True)
        except Refused as refusal:
            if "ValidatingAdmissionPolicy" not in str(refusal):
                raise
            return False
    return True
