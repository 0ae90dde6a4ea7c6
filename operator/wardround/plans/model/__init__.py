"""Decides which round of a model comes next, and which model of a series becomes a version."""
