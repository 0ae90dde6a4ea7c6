"""Combines updates by the code of other projects, for bench.aggregation. Runs in an environment of its own.

    python -m bench.peers flower write FOLDER PARTICIPANTS PARAMETERS TENSORS
    python -m bench.peers flower aggregate FOLDER STRATEGY

`write` leaves updates as the peer's own message format holds them: the numbers of bench.aggregation. `aggregate` prints
the seconds from the first update's file to the combined model, without imports. STRATEGY has the name that Wardround
gives it. Neither peer decrypts or verifies anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PEERS = ("flower", "nvflare")
# The part of the updates that each end of a trimmed mean leaves out, and that Krum takes for hostile.
HOSTILE_SHARE = 0.2


def main(arguments: list[str]) -> None:
    peer, verb, folder = arguments[0], arguments[1], Path(arguments[2])
    if verb == "write":
        participants, parameters, tensors = map(int, arguments[3:])
        for number in range(participants):
            WRITERS[peer](folder / f"{number:04d}", dict(arrays(number + 1, parameters, tensors)), 100.0 + number)
    else:
        aggregate = AGGREGATES[peer]
        aggregate([], arguments[3])  # imports
        start = time.perf_counter()
        aggregate(sorted(folder.iterdir()), arguments[3])
        print(time.perf_counter() - start)


def arrays(seed: int, parameters: int, tensors: int) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of one update by their names."""
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


def _aggregate_flower(paths: list[Path], strategy: str) -> None:
    """As a server of Flower 1.42: all replies in memory, then `aggregate_train` of its strategy."""
    from flwr.app import Message, MessageType, Metadata
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict
    from flwr.serverapp.strategy import FedAvg, FedMedian, FedTrimmedAvg, Krum

    made: FedAvg
    match strategy:
        case "FedAvg":
            made = FedAvg()
        case "Median":
            made = FedMedian()
        case "TrimmedMean":
            made = FedTrimmedAvg(beta=HOSTILE_SHARE)
        case "Krum":
            made = Krum(num_malicious_nodes=max(1, int(HOSTILE_SHARE * len(paths))))
        case _:
            raise ValueError(strategy)
    contents = (recorddict_from_proto(RecordDict.FromString(path.read_bytes())) for path in paths)
    metadata = Metadata(1, "", 1, 0, "", "1", time.time(), 3600.0, MessageType.TRAIN)
    replies = [Message(metadata=metadata, content=content) for content in contents]
    combined, _ = made.aggregate_train(1, replies)
    if (combined is None) == bool(paths):
        raise SystemExit(f"Flower's {strategy} combined nothing")


def _write_nvflare(path: Path, tensors: dict[str, Any], samples: float) -> None:
    import numpy as np

    path.mkdir()
    for name, each in tensors.items():
        np.save(path / name, each)


def _aggregate_nvflare(paths: list[Path], strategy: str) -> None:
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
AGGREGATES: dict[str, Callable[[list[Path], str], None]] = {
    "flower": _aggregate_flower,
    "nvflare": _aggregate_nvflare,
}

if __name__ == "__main__":
    main(sys.argv[1:])
