"""A site with Datasets and DataSchemas whose texts are odd or long, and the Jobs that its operator builds for them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from tests.integration.api.admission import until_admitted
from tests.integration.api.apiserver import Api, account
from tests.integration.api.jobs import claim, variable
from tests.integration.api.objects import FEDERATION, data_schema, dataset, reading_job, site_values, training_job
from tests.integration.cluster import Helm
from wardround.api import dataset_text, schema_text

Object = dict[str, Any]
NAMESPACE = "hospital-b"
OPERATOR = account(NAMESPACE, "site-operator")
# Of these, `absent` is listed and does not exist, and `unlisted` exists and is not listed.
BREAST, ODD, LARGE, MOVED, ABSENT, UNLISTED = "breast", "odd", "large", "moved", "absent", "unlisted"
LISTED = [BREAST, ODD, LARGE, MOVED, ABSENT]
SCHEMA, OTHER = "breast-v1", "other"
LISTED_SCHEMAS = [SCHEMA, ODD, LARGE, OTHER, ABSENT]
WORD_FOR_WORD, CLAIM = "WARDROUND_DATASET of prepare differs from the spec", "has to be the claim of Dataset"
SCHEMA_WORD_FOR_WORD = "WARDROUND_SCHEMA of prepare differs from the spec of DataSchema"
SCHEMA_LABEL = "The label wardround.io/schema of a training Job has to be"
SCHEMA_NOT_LISTED = "to name that DataSchema. Add"
NOT_LISTED, NOT_THERE = "to name that Dataset. Add", "no params found for policy binding"
# Whatever CEL, JSON, Kubernetes or a shell might take for something of its own.
ODDITIES = [
    *(
        "'",
        '"',
        "\\",
        "\\\\",
        '\\"',
        "\\a",
        "\a",
        "\v",
        "\\\a",
        "\b\f\n\r\t",
        "\x01\x1f\x7f",
        "\u0085\u2028\ufeff",
        " ",
    ),
    *("$", "$$", "$(WARDROUND_TASK)", "${x}", "{{ .Values }}", "é µ 患者 \U0001f9ec", "a\u0301", '","path":"other.csv'),
]


def listing() -> Object:
    values = site_values("site-b")
    values["policy"]["datasets"] = [{"name": name, "federations": [FEDERATION]} for name in LISTED]
    values["policy"]["dataSchemas"] = LISTED_SCHEMAS
    return values


@contextlib.contextmanager
def described_site(api: Api, helm: Helm) -> Iterator[Api]:
    helm.install("wardround-site", "site", NAMESPACE, listing())
    made = [dataset(NAMESPACE, name) for name in (BREAST, ODD, MOVED, UNLISTED)]
    made[1]["spec"] = odd(made[1]["spec"])
    made += [data_schema(NAMESPACE, name) for name in (SCHEMA, ODD, OTHER, UNLISTED)]
    made[5]["spec"] = odd_schema()
    made[6]["spec"]["fields"].pop(0)
    for each in made:
        api.create(each)
    for name in (BREAST, ODD, MOVED):
        until_admitted(api, job_for(api, name), OPERATOR)
    yield api
    for each in made:
        api.delete(each["kind"], each["metadata"]["name"], NAMESPACE)
    helm.install("wardround-site", "site", NAMESPACE, site_values("site-b"))


def odd(spec: Object) -> Object:
    """A Dataset that says the oddest things wherever people choose the words."""
    whole = "".join(ODDITIES)
    spec = copy.deepcopy(spec)
    spec["path"] = whole
    spec["schemaName"] = ODD
    spec["split"] = {"keyFile": whole}
    spec["identifier"] = {"column": whole, "type": "integer"}
    spec["fields"] = [
        {"name": "all", "from": whole, "missingValues": ODDITIES, "scale": "-1e-3", "offset": "+0.5"},
        {"name": "categories", "categories": [{"name": whole, "from": each} for each in ODDITIES]},
        {"name": "none", "missingValues": [], "categories": []},
        *({"name": each} for each in ODDITIES),
    ]
    spec["missingValues"] = ODDITIES
    spec["columnsVersion"] = 1_000_000
    return spec


def odd_schema() -> Object:
    whole = "".join(ODDITIES)
    return {
        "fields": [
            {"name": "mean", "type": "number", "maximum": "1e3", "minimum": "-0.5", "required": False},
            *({"name": each, "type": "string", "unit": each, "description": whole} for each in ODDITIES),
            {"name": "odd", "type": "string", "categories": [*ODDITIES, whole[:128]], "required": True},
        ],
        "target": ODDITIES[0],
    }


def dataset_spec(api: Api, name: str) -> Object:
    spec: Object = api.get("Dataset", name, NAMESPACE)["spec"]
    return spec


def schema_spec(api: Api, name: str) -> Object:
    spec: Object = api.get("DataSchema", name, NAMESPACE)["spec"]
    return spec


def job_for(api: Api, name: str) -> Object:
    """Returns the Job that the site operator builds for a Dataset in the API."""
    spec = dataset_spec(api, name)
    return job_of(name, spec, schema_spec(api, spec["schemaName"]))


def job_of(name: str, spec: Object, schema: Object | None = None) -> Object:
    """`schema`: the DataSchema's spec. Without it, the Job keeps the one of the golden files."""
    job = training_job(namespace=NAMESPACE)
    job["metadata"]["labels"].update({"wardround.io/dataset": name, "wardround.io/schema": spec["schemaName"]})
    claim("dataset")(job)["claimName"] = spec["claimName"]
    variable("WARDROUND_DATASET_NAME")(job)["value"] = name
    variable("WARDROUND_DATASET")(job)["value"] = dataset_text.dump(spec).replace("$", "$$")
    if schema is not None:
        variable("WARDROUND_SCHEMA")(job)["value"] = schema_text.dump(schema).replace("$", "$$")
    return job


def reading_of(api: Api, name: str = BREAST) -> Object:
    """A Job that reads Dataset `breast`, as one of the Dataset with this name."""
    return reading_job(api.get("Dataset", name, NAMESPACE)["metadata"]["uid"], NAMESPACE)
