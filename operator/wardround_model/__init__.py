"""Loads a model's folder as a torch module, and refuses a folder that does not match the card that the hub signed.

Knows the built-in trainer's models only. Needs torch, which the package `wardround` never imports.
"""

from wardround.card.folder import FolderRefused
from wardround_model.module import TableModel, load

__all__ = ["FolderRefused", "TableModel", "load"]
