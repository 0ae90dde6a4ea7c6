"""Decides the courier's next step for one task, what it does after an error, and what it reports."""
