"""Averages updates by the code of other projects, for bench.aggregation. Runs in an environment of its own.

    python -m bench.peers flower write FOLDER PARTICIPANTS PARAMETERS TENSORS
    python -m bench.peers flower aggregate FOLDER

`write` leaves updates as the peer's own message format holds them. `aggregate` prints the seconds from the first
update's file to the mean, without imports. Neither peer decrypts or verifies anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PEERS = ("flower", "nvflare")


def main(arguments: list[str]) -> None:
    peer, verb, folder = arguments[0], arguments[1], Path(arguments[2])
    if verb == "write":
        participants, parameters, tensors = map(int, arguments[3:])
        for number in range(participants):
            WRITERS[peer](folder / f"{number:04d}", dict(_tensors(number, parameters, tensors)), 100.0 + number)
    else:
        average = AVERAGES[peer]
        average([])  # imports
        start = time.perf_counter()
        average(sorted(folder.iterdir()))
        print(time.perf_counter() - start)


def _tensors(seed: int, parameters: int, tensors: int) -> Iterator[tuple[str, Any]]:
    import numpy as np

    values = np.random.default_rng(seed).standard_normal(parameters, np.float32)
    for number, each in enumerate(np.array_split(values, tensors)):
        yield f"layer-{number:03d}", each


def _write_flower(path: Path, tensors: dict[str, Any], samples: float) -> None:
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.common.serde import recorddict_to_proto

    arrays = ArrayRecord({name: Array(each) for name, each in tensors.items()})
    record = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": samples})})
    path.write_bytes(recorddict_to_proto(record).SerializeToString())


def _average_flower(paths: list[Path]) -> None:
    """As FedAvg.aggregate_train of Flower 1.42: all replies in memory, then one mean."""
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict
    from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

    records = [recorddict_from_proto(RecordDict.FromString(path.read_bytes())) for path in paths]
    if records:
        aggregate_arrayrecords(records, "num-examples")


def _write_nvflare(path: Path, tensors: dict[str, Any], samples: float) -> None:
    import numpy as np

    path.mkdir()
    for name, each in tensors.items():
        np.save(path / name, each)


def _average_nvflare(paths: list[Path]) -> None:
    """As an in-time aggregator of NVFLARE whose updates are streamed to disk: one tensor at a time, in numpy. With
    torch, NVFLARE adds in place, which needs less memory."""
    import numpy as np
    from nvflare.app_common.aggregators.weighted_aggregation_helper import WeightedAggregationHelper

    class Reference:
        """NVFLARE materialises references to tensors on disk when it adds them."""

        def __init__(self, path: Path) -> None:
            self._path = path

        def materialize(self) -> Any:
            return np.load(self._path)

    helper = WeightedAggregationHelper()
    for number, path in enumerate(paths):
        references = {each.stem: Reference(each) for each in sorted(path.iterdir())}
        helper.add(references, 100.0 + number, path.name, 0)
    helper.get_result()


WRITERS: dict[str, Callable[[Path, dict[str, Any], float], None]] = {
    "flower": _write_flower,
    "nvflare": _write_nvflare,
}
AVERAGES: dict[str, Callable[[list[Path]], None]] = {"flower": _average_flower, "nvflare": _average_nvflare}

if __name__ == "__main__":
    main(sys.argv[1:])
