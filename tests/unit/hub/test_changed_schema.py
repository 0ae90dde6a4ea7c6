"""Somebody replaces the DataSchema of a FederatedModel. A series does not go on from a model of other columns."""

from __future__ import annotations

from tests.players.hub import DATA_SCHEMA
from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.test_models import HOSPITALS, MODEL, begin_series, complete_short_series, named_rounds, shown
from wardround.api import names
from wardround.ports import Object

OTHER_COLUMNS = {**DATA_SCHEMA, "fields": [{"name": "texture", "type": "number"}, *DATA_SCHEMA["fields"]]}


def replace_schema(hub: LoneHub, spec: Object) -> None:
    """A DataSchema is immutable. A person can delete it, and apply another one under its name."""
    hub.server.remove(Place("DataSchema", FEDERATION, "breast-v1"))
    hub._create("wardround.io/v1alpha1", "DataSchema", "breast-v1", FEDERATION, spec=spec)


def test_a_series_from_the_current_version_stalls_with_other_columns_until_the_earlier_ones_are_back() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"evaluation": {"testRows": False}})
            # The hospitals of this test measure nothing.
            assert shown(hub, "Ready")[:2] == ("True", "VersionNotMeasured")
            [first] = [each for each in named_rounds(hub) if "-s1-r1-" in each]
            replace_schema(hub, OTHER_COLUMNS)
            hub.server.change(MODEL, {"metadata": {"annotations": {names.BEGIN: "once more"}}})
            await hub.settle()
            [second] = named_rounds(hub)
            assert second == first.replace("-s1-", "-s2-")
            assert hub.tasks(second) == {}, "no hospital is asked"
            status, reason, message = shown(hub, "Stalled")
            assert (status, reason) == ("True", "SeriesRoundFailed")
            assert message.startswith(
                f"Round {second} has failed (SchemaDiffersFromBase). Each further attempt would fail too. DataSchema "
                f"breast-v1 has other columns than the result of round {first}. "
            )
            assert "delete its DataSchema, apply the earlier DataSchema again under the same name" in message
            assert shown(hub, "Ready")[0] == "True", "the version before stays"

            replace_schema(hub, DATA_SCHEMA)
            hub.server.change(MODEL, {"spec": {"series": {"onFailure": {"retries": 1}}}})
            await hub.settle()
            [attempt] = named_rounds(hub)
            assert attempt != second
            assert list(hub.tasks(attempt)) == HOSPITALS
            assert shown(hub, "Stalled")[0] == "False"

    play(main)


def test_a_model_says_that_its_round_waits_for_people_as_long_as_it_does() -> None:
    """Its DataSchema does not exist yet. Nobody has to touch the model once somebody applies it."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS, schema="applied-later")
            await hub.settle()
            [name] = named_rounds(hub)
            status, reason, message = shown(hub, "Stalled")
            assert (status, reason) == ("True", "RoundSchemaNotFound")
            assert message.startswith(
                f"Round {name} of the series waits for people (RoundSchemaNotFound). Namespace {FEDERATION} has no "
                "DataSchema applied-later. The round's author: Apply"
            )
            assert shown(hub, "Reconciling")[0] == "False"

            hub._create("wardround.io/v1alpha1", "DataSchema", "applied-later", FEDERATION, spec=DATA_SCHEMA)
            await hub.settle()
            assert (named_rounds(hub), list(hub.tasks(name))) == ([name], HOSPITALS)
            assert shown(hub, "Stalled")[0] == "False"
            assert shown(hub, "Reconciling")[:2] == ("True", "SeriesStatistics")

    play(main)
