"""Verbs of kubectl-wardround that need an extra beside `cli`: they read data files, and get or bring models."""
