"""Builds what one process hands to another: assignments, grants, plans of aggregations, training Jobs. Pure."""
