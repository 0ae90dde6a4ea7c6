"""The aggregation Job: opens the updates of one round, reduces them as a stream and seals the result."""
