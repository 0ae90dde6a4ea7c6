"""Decides how the hub aggregates the updates of one round of a model: not every round can use what the spec names."""

from dataclasses import replace

from wardround.api.federatedround import Aggregation, Task
from wardround.wire.compression import used
from wardround.wire.strategy_terms import FEDAVG, STRATEGIES


def aggregation(template: Aggregation, task: Task, *, initial: bool) -> Aggregation:
    """The template's, or FedAvg where its strategy is impossible: in rounds that add sums, and for some strategies in
    the round that sends first weights. Only rounds that send differences compress them."""
    compression = used(template.compression, task=task, initial=initial)
    if task == "Train" and not (initial and STRATEGIES[template.strategy].differences):
        return replace(template, compression=compression)
    return replace(template, strategy=FEDAVG, parameters={}, compression=compression)
