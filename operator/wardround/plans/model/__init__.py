"""Decides which round of a FederatedModel comes next, and which model of a series becomes a ModelVersion."""
