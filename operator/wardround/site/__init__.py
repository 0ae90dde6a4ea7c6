"""The site operator: what of a round happens in this hospital."""
