"""Decides what a site does about a task: rules, the facts that they read about pod, hub and tasks, and their
answers."""
