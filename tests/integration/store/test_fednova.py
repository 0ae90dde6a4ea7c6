"""FedNova at a real store: the number of local steps travels sealed, and a hospital cannot gain much by a false one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players.stored_round import Round
from wardround.wire import codec
from wardround.wire.update import ValidationSums


def claims(steps: str | None) -> dict[str, Any]:
    if steps is None:
        return {}
    return {"sums": codec.write_document(ValidationSums(people=40, sums={}, reported={"steps": steps}))}


@pytest.fixture
def nova(train: Round) -> Round:
    train.strategy, train.metrics = "FedNova", ("loss", "steps")
    return train


async def test_a_round_is_fednova_to_the_last_bit(nova: Round) -> None:
    await nova.with_base(BASE)
    samples, local = (300, 140, 60), (60, 30, 15)
    for seed, (count, steps) in enumerate(zip(samples, local, strict=True)):
        await nova.update(f"site-{seed}", weights(seed + 1), count, claims=claims(f"{steps}.0"))
    code, answer = await nova.aggregate()
    assert (code, answer["leftOut"]) == (0, [])
    result, mean = (
        await nova.result(answer),
        sum(count / 500 * steps for count, steps in zip(samples, local, strict=True)),
    )
    moved = sum(
        count / 500 * mean / steps * weights(seed + 1)["layer.weight"].astype("<f8")
        for seed, (count, steps) in enumerate(zip(samples, local, strict=True))
    )
    expected = BASE["layer.weight"].astype("<f8") + moved
    np.testing.assert_allclose(result["layer.weight"], expected, rtol=1e-6)
    assert result["input.mean"].tobytes() == BASE["input.mean"].tobytes()


@pytest.mark.parametrize("steps", [None, "0.0", "0.5", "-3.0"])
async def test_an_update_without_a_number_of_steps_is_left_out(nova: Round, steps: str | None) -> None:
    await nova.with_base(BASE)
    await nova.update("site-a", weights(1), claims=claims("10.0"))
    await nova.update("site-b", weights(2), claims=claims(steps))
    code, answer = await nova.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a"])
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "StepsMissing"}]


async def test_without_any_number_of_steps_there_is_no_result(nova: Round) -> None:
    await nova.with_base(BASE)
    await nova.update("site-a", weights(1))
    code, answer = await nova.aggregate()
    assert (code, answer["reason"]) == (65, "NothingToAggregate")


async def test_few_stated_steps_do_not_pass_the_bound_on_norms(nova: Round) -> None:
    """The bound holds for what FedNova adds: with a tenth of the steps, an update may have a tenth of the norm."""
    await nova.with_base(BASE)
    for number in range(4):
        await nova.update(f"site-{number}", weights(number + 1), claims=claims("40.0"))
    large = {name: 4 * each for name, each in weights(9).items()}
    await nova.update("site-9", large, claims=claims("1.0"))
    _, answer = await nova.aggregate()
    assert answer["leftOut"] == [{"participant": "site-9", "reason": "UpdateTooLarge"}]


async def test_the_number_of_steps_is_nowhere_in_clear_text(nova: Round) -> None:
    await nova.with_base(BASE)
    await nova.update("site-a", weights(1), claims=claims("123457.0"))
    task = nova.sent["site-a"]
    assert task.status.update is not None
    assert "123457" not in str(codec.dump(task.status))
    for path in (nova.server.folder / "wardround").rglob("*"):
        assert not path.is_file() or b"123457" not in path.read_bytes()
