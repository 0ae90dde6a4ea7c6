"""Real Kubernetes clusters on one Linux machine: one hub and its hospitals, for the demo and the tests."""
