"""Numbers about a binary model: a hospital's sums, and the metrics with intervals that follow from sums; no I/O."""
