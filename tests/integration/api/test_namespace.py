"""`explain` and `watch` without -n, on a real API server: where the object is that the default namespace lacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.api.apiserver import Api
from tests.integration.api.objects import FEDERATION, federated_round
from wardround.kubectl import main

NAME = "elsewhere"


@pytest.fixture
def made(api: Api) -> Iterator[None]:
    api.create(federated_round(NAME))
    yield
    api.delete("FederatedRound", NAME, FEDERATION)


@pytest.mark.parametrize("verb", ["explain", "watch"])
@pytest.mark.usefixtures("made")
def test_the_error_names_another_namespace_that_has_the_object(
    api: Api, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    kubeconfig = ("--kubeconfig", str(api.kubeconfig))
    assert main([verb, f"fr/{NAME}", *kubeconfig]) == 2
    error = capsys.readouterr().err
    assert f"There is a FederatedRound {NAME} in {FEDERATION}. Try -n {FEDERATION}." in error
    # Somebody who names a namespace means it.
    assert main([verb, f"fr/{NAME}", "-n", "default", *kubeconfig]) == 2
    assert "Try -n" not in capsys.readouterr().err


def test_the_error_says_that_no_namespace_has_the_object(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "fr/nowhere", "--kubeconfig", str(api.kubeconfig)]) == 2
    assert "No namespace has a FederatedRound nowhere." in capsys.readouterr().err
