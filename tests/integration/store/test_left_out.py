"""Which updates an aggregation leaves out, and that it names each of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.store.updates import BASE, weights
from tests.players import courier
from tests.players.store import Server
from tests.players.stored_round import Round, now
from wardround import tensors
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import HashesOnly, SealedFile
from wardround.sealing import body, keys, manifests
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import update_context, wrap
from wardround.store.transfer import StoreClient
from wardround.wire import digests

INITIAL, OTHER = digests.digest(b"initial"), digests.digest(b"other")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"assignment": {"round_uid": "other"}}, "WrongRound"),
        ({"assignment": {"attempt": 2}}, "WrongAttempt"),
        ({"assignment": {"participant": "site-a"}}, "WrongParticipant"),
        ({"claims": {"base_digest": OTHER}}, "WrongBase"),
        ({"assignment": {"image_digest": "sha256:other"}}, "WrongImage"),
        ({"claims": {"schema_digest": OTHER}}, "WrongSchema"),
        ({"manifest": {"expires": "2020-01-01T00:00:00Z"}}, "Expired"),
        ({"manifest": {"digest": "sha256:other"}}, "KeyUnusable"),
        ({"manifest": {"wrapped_key": b"x" * 1168}}, "KeyUnusable"),
        ({"signed_by": keys.generate_signing_key()}, "SignatureInvalid"),
        ({"assignment": {"round_public_key": keys.DecryptionKey.generate().public.raw}}, "KeyUnusable"),
    ],
)
async def test_the_aggregation_leaves_out_and_names_an_unexpected_update(
    train: Round, changed: dict[str, Any], reason: str
) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), **changed)
    code, answer = await train.aggregate()
    assert code == 0
    assert answer["aggregated"] == ["site-a"]
    assert answer["leftOut"] == [{"participant": "site-b", "reason": reason}]
    mean = BASE["layer.weight"].astype(np.float64) + weights(1)["layer.weight"].astype(np.float64)
    assert (await train.result(answer))["layer.weight"].tobytes() == mean.astype("<f4").tobytes()


@pytest.mark.parametrize("keyed", [True, False])
async def test_the_digest_of_the_manifest_is_keyed_and_of_an_earlier_site_plain(train: Round, keyed: bool) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1), assignment={"keyed_digest": keyed})
    sent = train.sent["site-a"].status.update
    assert sent is not None
    manifest = manifests.open_update(sent.manifest, train.hospitals["site-a"].signing.public_key())
    plain = digests.digest(courier.written(weights(1))[0])
    assert (manifest.digest == plain) is not keyed
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a"])


@pytest.mark.parametrize("digest", [OTHER, "hmac-sha256:" + "0" * 64, ""])
async def test_the_aggregation_leaves_out_an_update_whose_manifest_has_another_digest(
    train: Round, digest: str
) -> None:
    """The file key is wrapped for this very manifest, as a faulty courier does."""
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2))
    hospital, sent = train.hospitals["site-b"], train.sent["site-b"].status.update
    assert sent is not None
    manifest = manifests.open_update(sent.manifest, hospital.signing.public_key())
    context = update_context(train.uid, 1, "site-b", digest)
    key = wrap(train.hub.file_key(manifest), train.hub.round_key.public, context)
    stale = manifests.sign_update(replace(manifest, digest=digest, wrapped_key=key), hospital.signing)
    task = train.sent["site-b"]
    train.sent["site-b"] = replace(task, status=replace(task.status, update=replace(sent, manifest=stale)))
    code, answer = await train.aggregate()
    assert (code, answer["leftOut"]) == (0, [{"participant": "site-b", "reason": "Altered"}])


@pytest.mark.parametrize("place", [0, 1 << 20, -1])
async def test_the_aggregation_leaves_out_an_update_with_one_changed_byte(train: Round, place: int) -> None:
    base = {"w": np.zeros(500_000, "<f4")}
    await train.with_base(base)
    await train.update("site-a", {"w": np.ones(500_000, "<f4")})
    await train.update("site-b", {"w": np.ones(500_000, "<f4") * 9})
    stored = bytearray(train.stored("site-b").read_bytes())
    stored[place] ^= 1
    train.stored("site-b").write_bytes(stored)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "Altered"}]
    assert set((await train.result(answer))["w"].tolist()) == {1.0}


async def test_the_aggregation_leaves_out_a_missing_or_truncated_update(train: Round) -> None:
    await train.with_base(BASE)
    for name in ("site-a", "site-b", "site-c"):
        await train.update(name, weights(1))
    train.stored("site-a").unlink()
    train.stored("site-b").write_bytes(train.stored("site-b").read_bytes()[:-1])
    _, answer = await train.aggregate()
    assert {each["participant"]: each["reason"] for each in answer["leftOut"]} == {
        "site-a": "Missing",
        "site-b": "Altered",
    }


async def test_the_aggregation_leaves_out_an_update_with_a_value_that_is_no_number(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2) | {"input.mean": np.array([0, 0, 0, np.nan, 0, 0, 0])})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "NotFinite"}]


async def test_the_aggregation_leaves_out_an_update_that_would_decide_the_result(train: Round) -> None:
    """One hospital sends the weights that it wants, divided by its share."""
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2))
    await train.update("site-c", {name: 1000 * each for name, each in weights(3).items()})
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a", "site-b"])
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]


def standardised(mean: list[float], deviation: list[float], weight: float = 0.1) -> dict[str, Any]:
    """A model of the built-in trainer over two columns, or a difference of one."""
    return {
        "wardround.input.mean": np.array(mean, "<f4"),
        "wardround.input.std": np.array(deviation, "<f4"),
        "output.weight": np.full(2, weight, "<f4"),
    }


@pytest.mark.parametrize("frozen", [None, (), ("other.*",)], ids=["default", "nothing", "others"])
async def test_one_hospital_cannot_change_frozen_tensors_of_the_result(
    train: Round, frozen: tuple[str, ...] | None
) -> None:
    """Its difference is smaller than the others'. With such a deviation, a model has a threshold in one column."""
    train.frozen = frozen
    await train.with_base(standardised([5, 6], [1, 2]))
    for name in ("site-a", "site-b"):
        await train.update(name, standardised([0, 0], [0, 0], 5))
    await train.update("site-c", standardised([0, 0], [-2.999997, 0]))
    code, answer = await train.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a", "site-b"])
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "FrozenNotZero"}]
    result = await train.result(answer)
    assert result["wardround.input.std"].tolist() == [1.0, 2.0]
    assert result["output.weight"].tolist() == [pytest.approx(5.1)] * 2


async def test_a_round_freezes_the_tensors_that_its_author_names(train: Round) -> None:
    train.frozen = ("input.*",)
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    for name, each in (("site-b", "input.mean"), ("site-c", "steps")):
        change = np.ones_like(weights(2)[each])
        await train.update(name, weights(2) | {each: change})
    _, answer = await train.aggregate()
    # The aggregation ignores integers that are not frozen.
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "FrozenNotZero"}]
    assert (await train.result(answer))["input.mean"].tobytes() == BASE["input.mean"].tobytes()


async def test_an_initial_round_needs_equal_frozen_tensors(server: Server, store: StoreClient, tmp_path: Path) -> None:
    """A hospital can state the digest of the initial weights and send other means and deviations."""
    initial = Round(server, store, tmp_path, initial=True)
    for name in ("site-a", "site-b"):
        await initial.update(name, standardised([14, 654], [3.5, 351]), claims={"base_digest": INITIAL})
    await initial.update("site-c", standardised([67.5, 654], [-20.2, 351]), claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["reason"]) == (65, "InitialWeightsDiffer")
    assert "site-a, site-b" in answer["message"]
    assert "site-c" in answer["message"]


async def test_frozen_tensors_do_not_hide_large_initial_weights(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    """Means of columns are far larger than weights."""
    initial = Round(server, store, tmp_path, initial=True)
    for name, weight in (("site-a", 0.3), ("site-b", 0.2), ("site-c", 1000.0)):
        await initial.update(name, standardised([14, 654], [3.5, 351], weight), claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]
    assert (await initial.result(answer))["wardround.input.mean"].tolist() == [14.0, 654.0]


async def test_a_stated_number_of_samples_raises_neither_the_bound_nor_the_weight_without_limit(train: Round) -> None:
    """Nobody can check the number. A hospital of three states a million."""
    await train.with_base({"w": np.zeros(1)})
    for name, value, samples in (("site-a", 1.0, 239), ("site-b", 2.0, 159), ("site-c", 25.0, 10**6)):
        await train.update(name, {"w": np.array([value])}, samples)
    code, answer = await train.aggregate()
    assert (code, answer["leftOut"], answer["samples"]) == (0, [], 239 + 159 + 10 * 239)
    assert answer["counted"] == [239, 159, 10 * 239]
    expected = (239 * 1.0 + 159 * 2.0 + 2390 * 25.0) / (239 + 159 + 2390)
    assert (await train.result(answer))["w"].tolist() == [pytest.approx(expected, rel=1e-12)]


async def test_an_update_beyond_the_bound_is_left_out_whatever_number_of_samples_it_states(train: Round) -> None:
    await train.with_base({"w": np.zeros(1)})
    for name, value, samples in (("site-a", 1.0, 239), ("site-b", 2.0, 159), ("site-c", 61.0, 10**6)):
        await train.update(name, {"w": np.array([value])}, samples)
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-c", "reason": "UpdateTooLarge"}]


async def test_an_initial_round_leaves_out_weights_that_would_decide_the_result(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    for name, factor in (("site-a", 1), ("site-b", 1000)):
        scaled = {key: factor * each for key, each in weights(1).items()}
        await initial.update(name, scaled, claims={"base_digest": INITIAL})
    _, answer = await initial.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "UpdateTooLarge"}]


async def test_the_aggregation_leaves_out_a_file_of_another_schema_than_claimed(train: Round) -> None:
    await train.with_base({"w": np.zeros(4, "<f4")})
    good = tensors.canonical_layout([tensors.Tensor("w", "F32", (4,))]).schema_digest
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    await train.update("site-b", {"w": np.ones(8, "<f2")}, claims={"schema_digest": good})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "WrongSchema"}]


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
async def test_the_aggregation_leaves_out_an_update_of_half_precision(
    server: Server, store: StoreClient, tmp_path: Path, dtype: str
) -> None:
    initial = Round(server, store, tmp_path, initial=True)
    await initial.update("site-a", weights(1), claims={"base_digest": INITIAL})
    half = tensors.narrow(np.ones(4), dtype)
    await initial.update("site-b", {"w": half}, dtypes={"w": dtype}, claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["aggregated"]) == (0, ["site-a"])
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "HalfPrecision"}]


async def test_an_update_without_samples_does_not_count_for_the_quorum(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    await train.update("site-b", weights(2), samples=0)
    _, answer = await train.aggregate()
    assert (answer["aggregated"], answer["leftOut"]) == (
        ["site-a"],
        [{"participant": "site-b", "reason": "CountsInvalid"}],
    )


async def test_the_aggregation_leaves_out_an_update_whose_samples_are_no_count(train: Round) -> None:
    await train.with_base(BASE)
    await train.update("site-a", weights(1))
    for name, samples in (("site-b", -1), ("site-c", 2**63), ("site-d", "10"), ("site-e", True)):
        await train.update(name, weights(2), manifest={"samples": samples})
    _, answer = await train.aggregate()
    assert answer["aggregated"] == ["site-a"]
    assert {each["reason"] for each in answer["leftOut"]} == {"ManifestUnreadable"}


async def test_the_aggregation_leaves_out_a_file_with_another_header(train: Round) -> None:
    await train.with_base({"w": np.zeros(4, "<f4")})
    good = tensors.canonical_layout([tensors.Tensor("w", "F32", (4,))]).schema_digest
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    await train.update("site-b", {"v": np.ones(4, "<f4")}, claims={"schema_digest": good})
    _, answer = await train.aggregate()
    assert answer["leftOut"] == [{"participant": "site-b", "reason": "WrongSchema"}]


async def test_the_aggregation_leaves_out_tensors_without_a_canonical_order(
    server: Server, store: StoreClient, tmp_path: Path
) -> None:
    """In canonical order the empty tensors come last: longer offsets make the header longer than headers are."""
    initial = Round(server, store, tmp_path, initial=True)
    await initial.update("site-a", {"w": np.ones(4, "<f4")}, claims={"base_digest": INITIAL})
    empty = {f"{number:x}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(150_000)}
    big = {"w": {"dtype": "F32", "shape": [250_000], "data_offsets": [0, 1_000_000]}}
    text = json.dumps(empty | big, separators=(",", ":")).encode()
    assert len(text) < tensors.LARGEST_HEADER < len(text) + 12 * len(empty)
    plain = len(text).to_bytes(8, "little") + text + bytes(1_000_000)
    await initial.update_of("site-b", plain, claims={"base_digest": INITIAL})
    code, answer = await initial.aggregate()
    assert (code, answer["leftOut"]) == (0, [{"participant": "site-b", "reason": "WrongSchema"}])


async def test_the_aggregation_leaves_out_a_second_update_in_the_place_of_the_first(train: Round) -> None:
    """A site knows its file's key: with the store's help it would show one to the check and another to the sum."""
    await train.with_base({"w": np.zeros(4, "<f4")})
    await train.update("site-a", {"w": np.ones(4, "<f4")})
    url = train.server.presigner.get(f"updates/{train.uid}/1/site-a/{body.part_name(0)}", now(), 600)
    text, key = train.sent["site-a"].status.update, train.hospitals["site-a"].signing.public_key()
    assert text is not None
    sealer = train.hub.opener(manifests.open_update(text.manifest, key))
    with Scratch(train.folder) as scratch:
        opened = SealedFile(train.store, (url,), sealer, HashesOnly(scratch))
        await opened.read_through(lambda segment: None, Buffers(), asyncio.Semaphore())
        first = await opened.segment(0)
        train.stored("site-a").write_bytes(sealer.seal(0, first[:-16] + b"\x7f" * 16))
        with pytest.raises(Refused, match="Altered"):
            await opened.segment(0)
