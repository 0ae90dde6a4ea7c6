"""Whether hospitals that cannot take part hold the next round of a series: only for what that round itself needs."""

from dataclasses import replace

from tests.unit.plans_hub.builders import participant
from tests.unit.plans_model.world import NOW, World, model
from wardround.api.participant import Federation, Participant
from wardround.plans.model.absence import absence
from wardround.wire.assignment import COMPRESSION_SINCE
from wardround.wire.versions import KNOWN


def older(name: str) -> Participant:
    """A hospital whose site knows no compression."""
    item = participant(name, allowed_federations=(Federation(namespace="federation"),))
    assert item.status.site is not None
    versions = tuple(each for each in KNOWN if each < COMPRESSION_SINCE)
    return replace(item, status=replace(item.status, site=replace(item.status.site, assignment_versions=versions)))


def test_a_site_without_compression_holds_only_the_rounds_that_compress() -> None:
    template = model().spec.round
    world = World(model())
    world.edit(round=replace(template, aggregation=replace(template.aggregation, compression="Int8")))
    participants = {name: older(name) for name in ("site-a", "site-b")}
    reasons = {}
    for _ in range(3):
        world.settle()
        newest = world.series.rounds[-1]
        lacking = absence(world.model, participants, NOW)
        reasons[newest.task, newest.number] = lacking.reason if lacking else ""
        world.complete(newest.name)
    assert reasons == {("Statistics", 0): "", ("Train", 1): "", ("Train", 2): "SiteTooOld"}
