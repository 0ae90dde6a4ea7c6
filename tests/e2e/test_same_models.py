"""All of Wardround in one process, inside the trainer image, makes the models of the lab's clusters."""

from tests.e2e import simulated
from tests.e2e.federation import Federation
from tests.e2e.series import Series


def test_a_federation_in_one_process_makes_the_same_models(federation: Federation, model: Series) -> None:
    """From the same FederatedModel, with the image, the data and the hospitals' keys of the clusters. The process has
    its own UIDs, names of rounds, keys of participants, and order of calls."""
    rounds = model.rounds()
    assert [each.round["spec"]["task"] for each in rounds] == ["Statistics", "Train", "Train", "Evaluate"]
    digests = simulated.digests_of_series(federation, model.live())
    assert digests == [each.result["digest"] for each in rounds]
