"""Server optimizers over several rounds at a real store: their state goes on, is sealed, and cannot be swapped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players import segments
from tests.players.hub import Hub
from tests.players.store import Server
from tests.players.stored_round import Round, carried_out
from wardround.aggregate import plan
from wardround.documents import results
from wardround.documents.keys import Model
from wardround.plans.round.types import StoredModel
from wardround.sealing import body
from wardround.store.transfer import StoreClient
from wardround.wire import codec, digests
from wardround.wire.aggregation import AggregationAnswer, AggregationResult

ADAM = {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"}
SIZE = 600_000  # three segments


@dataclass
class Chain:
    """Rounds of one hub, each of which starts from the result of the one before."""

    server: Server
    store: StoreClient
    folder: Path
    strategy: str = "FedAdam"
    parameters: dict[str, str] = field(default_factory=lambda: ADAM)
    hub: Hub = field(default_factory=Hub)
    base: Model | None = None
    number: int = 0

    async def collected(self, seeds: tuple[int, ...] = (1, 2)) -> Round:
        """A round whose updates are sent."""
        self.number += 1
        folder = self.folder / f"round-{self.number}"
        folder.mkdir()
        made = Round(
            self.server,
            self.store,
            folder,
            hub=self.hub,
            strategy=self.strategy,
            strategy_parameters=self.parameters,
            base=self.base,
        )
        if self.base is None:
            kept = {name: BASE[name] for name in ("input.mean", "steps")}
            await made.with_base(weights(0, SIZE) | kept)
        for place, seed in enumerate(seeds):
            await made.update(f"site-{place}", weights(10 * self.number + seed, SIZE))
        return made

    async def combined(self, made: Round) -> dict[str, Any]:
        """Aggregate, and keep the result as the hub does. Return the arrays of the result."""
        code, answer = await made.aggregate()
        assert code == 0, answer
        arrays = await made.result(answer)
        self.base = self.kept(made, codec.parse_document(AggregationResult, answer))
        return arrays

    def kept(self, made: Round, answer: AggregationResult) -> Model:
        planned = plan.parse((made.folder / "plan.json").read_bytes())
        assert made.base is not None
        result = replace(made.base.stored.result, location=planned.location)
        return results.model(planned, answer, StoredModel(task="Train", result=result), self.hub.identity.key)


@pytest.fixture
def chain(server: Server, store: StoreClient, tmp_path: Path) -> Chain:
    return Chain(server, store, tmp_path)


def mean(number: int) -> Any:
    return sum(0.5 * weights(10 * number + seed, SIZE)["layer.weight"].astype("<f8") for seed in (1, 2))


async def test_three_rounds_are_fedadam_and_frozen_tensors_stay(chain: Chain) -> None:
    expected = weights(0, SIZE)["layer.weight"]
    m, v = np.zeros(SIZE, "<f4"), np.full(SIZE, 0.001 * 0.001, "<f4")
    for number in (1, 2, 3):
        arrays = await chain.combined(await chain.collected())
        first = 0.001 * 0.001 if number == 1 else v.astype("<f8")
        wide_m = 0.9 * m.astype("<f8") + (1 - 0.9) * mean(number)
        wide_v = 0.99 * first + (1 - 0.99) * (mean(number) * mean(number))
        expected = (expected.astype("<f8") + 0.1 * wide_m / (np.sqrt(wide_v) + 0.001)).astype("<f4")
        m, v = wide_m.astype("<f4"), wide_v.astype("<f4")
        assert arrays["layer.weight"].tobytes() == expected.tobytes()
        assert arrays["input.mean"].tobytes() == BASE["input.mean"].tobytes()
        assert arrays["steps"].tolist() == [3, 4]


async def test_another_try_after_a_crash_between_state_and_result_makes_the_same_model(chain: Chain) -> None:
    await chain.combined(await chain.collected())
    made = await chain.collected()
    first = await aggregated(made)
    assert isinstance(first, AggregationResult)
    state = moments(chain, made, first)
    # The pod died after it had stored the state, and before it stored the result.
    for name in ("part-00000", "segments"):
        (chain.server.folder / "wardround" / "models" / made.uid / "1" / name).unlink()
    second = await aggregated(made, number=2)
    assert isinstance(second, AggregationResult)
    assert second.digest == first.digest
    assert second.state != first.state
    assert moments(chain, made, second) == state


def moments(chain: Chain, made: Round, answer: AggregationResult) -> list[bytes]:
    """The plaintext of each moment that the Job of the last plan has stored."""
    planned = plan.parse((made.folder / "plan.json").read_bytes())
    assert planned.state is not None
    opened = []
    for moment, digest in zip(planned.state.moments, answer.state, strict=True):
        folder = chain.server.folder / "wardround" / moment.location
        hashes, ciphertext = (folder / "segments").read_bytes(), (folder / "part-00000").read_bytes()
        assert digests.digest(hashes) == digest
        opened.append(segments.opened(body.Body(moment.data_key, moment.header), ciphertext))
    return opened


async def aggregated(made: Round, number: int = 1) -> AggregationAnswer:
    path, scratch = made.folder / "plan.json", made.folder / "scratch"
    path.write_bytes(await made.plan(number))
    scratch.mkdir(exist_ok=True)
    return await carried_out(path, scratch)


@pytest.mark.parametrize("swap", ["another moment", "an older state", "one bit"])
async def test_a_swapped_state_is_not_used(chain: Chain, swap: str) -> None:
    await chain.combined(await chain.collected())
    older = chain.base
    await chain.combined(await chain.collected())
    assert chain.base is not None
    assert chain.base.state is not None
    assert older is not None
    assert older.state is not None
    store = chain.server.folder / "wardround"
    first, second = (store / each.location for each in chain.base.state.manifest.moments)
    if swap == "one bit":
        ciphertext = bytearray((second / "part-00000").read_bytes())
        ciphertext[-1] ^= 1
        (second / "part-00000").write_bytes(ciphertext)
    else:
        source = first if swap == "another moment" else store / older.state.manifest.moments[1].location
        for name in ("part-00000", "segments"):
            (second / name).write_bytes((source / name).read_bytes())
    made = await chain.collected()
    code, answer = await made.aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


@pytest.mark.parametrize("lost", ["part-00000", "segments"])
async def test_a_state_that_the_store_has_lost_is_not_waited_for(chain: Chain, lost: str) -> None:
    """The store answers, so the hub operator does not wait for it until the deadline of the round."""
    await chain.combined(await chain.collected())
    assert chain.base is not None
    assert chain.base.state is not None
    moment = chain.base.state.manifest.moments[-1]
    (chain.server.folder / "wardround" / moment.location / lost).unlink()
    code, answer = await (await chain.collected()).aggregate()
    assert (code, answer["reason"]) == (75, "StoreInconsistent")


async def test_no_key_of_a_state_opens_a_model_and_no_key_of_a_model_a_state(chain: Chain) -> None:
    """A hospital has the key of each model that it trained from."""
    await chain.combined(await chain.collected())
    assert chain.base is not None
    assert chain.base.state is not None
    for key, moment in zip(chain.base.state.data_keys, chain.base.state.manifest.moments, strict=True):
        assert key != chain.base.data_key
        with pytest.raises(Exception, match="KeyUnusable"):
            body.Body(chain.base.data_key, moment.header)
        with pytest.raises(Exception, match="KeyUnusable"):
            body.Body(key, chain.base.manifest.header)


async def test_a_round_with_other_parameters_begins_anew(chain: Chain) -> None:
    before = await chain.combined(await chain.collected())
    chain.parameters = {**ADAM, "tau": "0.01"}
    arrays = await chain.combined(await chain.collected())
    spread = 0.99 * (0.01 * 0.01) + (1 - 0.99) * (mean(2) * mean(2))
    step = 0.1 * ((1 - 0.9) * mean(2)) / (np.sqrt(spread) + 0.01)
    expected = (before["layer.weight"].astype("<f8") + step).astype("<f4")
    assert arrays["layer.weight"].tobytes() == expected.tobytes()


async def test_shares_are_limited_before_the_optimizer(chain: Chain) -> None:
    chain.strategy, chain.parameters = "FedAvgM", {"serverLearningRate": "1", "momentum": "0.9"}
    made = await chain.collected(())
    made.max_share = "0.5"
    for name, seed, samples in (("site-a", 1, 10**9), ("site-b", 2, 10)):
        await made.update(name, weights(10 + seed, SIZE), samples)
    arrays = await chain.combined(made)
    expected = (weights(0, SIZE)["layer.weight"].astype("<f8") + mean(1)).astype("<f4")
    assert arrays["layer.weight"].tobytes() == expected.tobytes()
