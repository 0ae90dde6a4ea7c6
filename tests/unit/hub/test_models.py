"""When the hub operator looks at a FederatedModel: at the ends of its rounds, and when people change or delete one."""

from __future__ import annotations

from typing import Any, cast

from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, IMAGE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.plans_hub.builders import condition
from wardround.api import federatedround
from wardround.hub.models import ModelController
from wardround.kube.controller import Key, gone
from wardround.ports import Object
from wardround.wire import codec

HOSPITALS = ["site-a", "site-b"]


def series_round(generation: int = 1, *conditions: Object) -> Object:
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": "FederatedModel", "name": "breast", "uid": "u"}
    meta = {"name": "r", "namespace": FEDERATION, "generation": generation, "ownerReferences": [owner]}
    return {"metadata": meta, "status": {"conditions": list(conditions)}}


def test_a_round_wakes_its_model_when_it_has_ended_or_somebody_has_changed_or_deleted_it() -> None:
    def woken(item: Object) -> list[Key]:
        controller = ModelController(cast(Any, None))
        return [each.key for each in controller.keys(federatedround.KIND, item)]

    runs = codec.dump(condition("Reconciling", True, "Collecting"))
    assert woken(series_round(1, runs)) == []
    model = [Key("FederatedModel", FEDERATION, "breast")]
    assert woken(series_round(1, codec.dump(condition("Complete", True, "Complete")))) == model
    assert woken(series_round(1, codec.dump(condition("Failed", True, "QuorumNotMet")))) == model
    assert woken(series_round(2, runs)) == model
    assert woken(gone(series_round(1, runs))) == model


def begin_series(hub: LoneHub, hospitals: list[str]) -> None:
    for name in hospitals:
        hub.enrol(name)
    template: Object = {"image": IMAGE, "datasetName": "breast", "schemaName": "breast-v1"}
    template |= {"participants": {"names": hospitals}, "quorum": {"min": 2}}
    spec = {"round": template, "series": {"rounds": 1}}
    hub._create("wardround.io/v1alpha1", "FederatedModel", "breast", FEDERATION, spec=spec)


def test_a_model_is_not_read_for_each_hospital_that_its_round_asks() -> None:
    def reads(count: int) -> int:
        async def main(loop: VirtualLoop) -> int:
            hub, hospitals = LoneHub(loop), [f"site-{number}" for number in range(count)]
            async with hub.running():
                begin_series(hub, hospitals)
                await hub.settle()
                [made] = hub.server.select("FederatedRound", FEDERATION)
                assert list(hub.tasks(made["metadata"]["name"])) == hospitals
                return sum(each.kind == "FederatedModel" for each in hub.server.reads)

        return play(main)

    assert reads(2) == reads(8)


def test_a_running_round_that_somebody_deletes_is_made_again() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            [first] = hub.server.select("FederatedRound", FEDERATION)
            hub.server.remove(Place("FederatedRound", FEDERATION, first["metadata"]["name"]))
            await hub.settle()
            [second] = hub.server.select("FederatedRound", FEDERATION)
            assert second["metadata"]["name"] == first["metadata"]["name"]
            assert second["metadata"]["uid"] != first["metadata"]["uid"]

    play(main)
