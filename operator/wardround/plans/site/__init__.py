"""Decides what a look at the Site comes to; no I/O."""
