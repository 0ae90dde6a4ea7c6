"""A round that several hospitals refuse names all of them, and the owner of the problem."""

from datetime import UTC, datetime

from tests.conditions import condition
from tests.e2e.clusters import eventually
from tests.e2e.federation import DATASET, Federation
from wardround.cli import explain, verbs

NOT_LISTED = "localhost/wardround/trainer@sha256:" + "0" * 64


def test_a_round_that_all_refuse_names_each_refusal(federation: Federation) -> None:
    """The fastest refusal already makes the quorum unreachable. The round must name the others, too."""
    made = federation.manifest("refused-by-all", "Train", initial={}, image=NOT_LISTED)
    federation.apply(made)
    failed = federation.finished(made["metadata"]["name"]).failed
    everyone = ", ".join(f"{site} (ImageNotAllowed)" for site in federation.sites)
    assert failed.message == f"0 hospitals can still send, but quorum.min is {len(federation.sites)}. Lost: {everyone}."


def test_a_misspelt_dataset_is_reported_to_the_rounds_author(federation: Federation) -> None:
    made = federation.manifest("misspelt-dataset", "Statistics", datasetName="braest")
    name, hub = made["metadata"]["name"], federation.kubectl("hub")
    federation.apply(made)

    def listed() -> bool:
        stalled = condition(hub.get("fr", name, "-n", federation.namespace), "Stalled")
        return stalled is not None and stalled.status == "True" and stalled.reason == "DatasetUnknown"

    try:
        eventually(f"{name} waits", listed)
        round_, tasks = verbs.round_with_tasks(federation.hub, name, federation.namespace)
        explanation = explain.text(explain.explain_round(round_, tasks, {}, datetime.now(UTC)))
    finally:
        hub("delete", "fr", name, "-n", federation.namespace)
    assert "offers a Dataset braest.\n" in explanation
    assert f"  says:   Was {DATASET} meant? The round waits until " in explanation
    assert "who:    the round's author" in explanation
    assert "hospital's administrator\n" not in explanation
