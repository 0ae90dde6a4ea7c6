"""The contexts of sealing and the layouts of sums are those of docs/contracts.md, byte by byte."""

from __future__ import annotations

from wardround.sealing import wrap
from wardround.wire import layouts


def test_wrapping_contexts_are_those_of_the_contract() -> None:
    names = b'"attempt":1,%s"participant":"site-a","purpose":"%s","roundUID":"u"}'
    assert wrap.base_context("u", 1, "site-a", "d").info == b"{" + names % (b'"digest":"d",', b"base")
    assert wrap.update_context("u", 1, "site-a", "d").info == b"{" + names % (b'"digest":"d",', b"update")
    assert wrap.grants_context("u", 1, "site-a").info == b"{" + names % (b"", b"grants")


def test_the_contexts_of_a_transfer_are_those_of_the_contract() -> None:
    names = b'"digest":"d","purpose":"%s","requestedBy":"rita","transferUID":"u"}'
    assert wrap.transfer_context("model", "u", "rita", "d").info == b"{" + names % b"transfer-model"
    assert wrap.transfer_context("addresses", "u", "rita", "d").info == b"{" + names % b"transfer-addresses"


def test_the_tensors_of_statistics_and_evaluate_are_those_of_the_contract() -> None:
    assert layouts.statistics(2) == {
        "count": (2,),
        "sum": (2,),
        "squares": (2,),
        "shift": (2,),
        "positives": (1,),
        "rows": (1,),
        "salt": (32,),
    }
    sums = {"people": (3,), "rows": (1,), "weights": (2,), "loss": (2,), "brier": (2,), "confusion": (4,)}
    assert {**sums, "expected": (1,), "pairs": (3,)} == layouts.SUMS
    assert layouts.EVALUATE == {**layouts.SUMS, "histogram": (2, 256), "salt": (32,)}
    assert layouts.DTYPE == "F64"
