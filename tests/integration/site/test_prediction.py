"""A person of the hospital asks for a prediction: one Job, whose report becomes the status. No hub is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api.apiserver import Refused, account
from tests.integration.api.objects import DIGEST, prediction
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.play import DATA_SCHEMA, DATASET, condition, job_of, run_only_container
from wardround.api import names

Object = dict[str, Any]
PREDICTED = {"version": "v3", "digest": "sha256:" + "a" * 64, "answered": 40, "outside": 2, "notes": ["one.", "two."]}


def asked(site: Site, name: str) -> Object:
    item: Object = site.api.get("Prediction", name, NAMESPACE)
    return item


def pin(site: Site) -> None:
    """The Site's pin as the chart's policy knows it. The fixture has pinned another hub, in the Site alone."""
    site.api.patch("Site", "site", {"spec": {"hub": {"fingerprint": DIGEST}}}, NAMESPACE)


async def job_for(site: Site, made: Object) -> Object:
    job: Object = await eventually(
        "the Job that predicts", lambda: job_of(site, names.prediction_name(made["metadata"]["uid"]))
    )
    return job


async def test_a_person_sees_how_many_rows_have_an_answer_and_the_hub_sees_nothing(site: Site) -> None:
    pin(site)
    site.api.apply(DATA_SCHEMA)
    # Earlier tests leave their Dataset.
    site.api.call("DELETE", f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}/datasets")
    made = site.api.create(prediction(name="early"))
    try:
        await eventually(
            "the Prediction waits for its Dataset",
            lambda: any(
                each["type"] == "Stalled" and each["reason"] == "NoDataset"
                for each in asked(site, "early")["status"]["conditions"]
            ),
        )
        site.api.apply(DATASET)
        # The operator looks at a waiting Prediction once a minute, and at once if it changes.
        look = {"metadata": {"annotations": {"tests.wardround.io/look": "yes"}}}
        site.api.patch("Prediction", "early", look, NAMESPACE)
        job = await job_for(site, made)
        [container] = job["spec"]["template"]["spec"]["containers"]
        assert container["command"][-1] == "prediction"
        run_only_container(site.api, job, {"prediction": PREDICTED})
        await eventually(
            "the Prediction is complete", lambda: condition(asked(site, "early"), "Complete")["status"] == "True"
        )
        status = asked(site, "early")["status"]
        assert status["answer"] == PREDICTED
        assert "40 of 42 rows" in condition(asked(site, "early"), "Complete")["message"]
        # The Job stays for its log, and nothing makes another one.
        assert job_of(site, names.prediction_name(made["metadata"]["uid"])) is not None
        again = [{**each, "status": "False"} for each in status["conditions"]]
        operator = account(NAMESPACE, "site-operator")
        with pytest.raises(Refused, match="Complete and Failed are final"):
            site.api.patch_status("Prediction", "early", {"conditions": again}, NAMESPACE, user=operator)
        at_hub = json.dumps(
            [
                site.api.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{PARTICIPANT}/roundtasks"),
                site.api.get("Participant", PARTICIPANT, PARTICIPANT),
            ]
        )
        assert "early" not in at_hub
        assert "new-cases" not in at_hub
    finally:
        site.api.delete("Prediction", "early", NAMESPACE)


async def test_a_refusal_of_the_pod_is_the_end_of_a_prediction(site: Site) -> None:
    pin(site)
    site.api.apply(DATA_SCHEMA)
    site.api.apply(DATASET)
    made = site.api.create(prediction(name="twice"))
    try:
        job = await job_for(site, made)
        run_only_container(
            site.api, job, {"reason": "AnswerExists", "class": "Site", "message": "the claim has a file already"}, 65
        )
        await eventually(
            "the Prediction has failed", lambda: condition(asked(site, "twice"), "Failed")["status"] == "True"
        )
        failed = condition(asked(site, "twice"), "Failed")
        assert (failed["status"], failed["reason"]) == ("True", "AnswerExists")
        assert "Make a new Prediction with another" in failed["message"]
        uid = made["metadata"]["uid"]

        def warnings() -> list[Object]:
            events = site.api.call("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
            return [each for each in events if each["regarding"].get("uid") == uid and each["reason"] == "AnswerExists"]

        [event] = await eventually("the Prediction has an Event", warnings)
        assert event["type"] == "Warning"
    finally:
        site.api.delete("Prediction", "twice", NAMESPACE)
        site.api.delete("Dataset", "breast", NAMESPACE)
