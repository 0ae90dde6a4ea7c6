"""Wardround: federated learning for hospitals as Kubernetes objects."""
