"""Federated learning for hospitals as Kubernetes objects."""
