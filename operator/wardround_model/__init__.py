"""Loads a model's folder as a torch module, and refuses a folder that does not match the card that the hub signed.

Knows the built-in trainer's models only. Needs torch, which the package `wardround` never imports.
"""

try:
    from wardround.card.folder import FolderRefused
    from wardround_model.module import TableModel, load
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "torch"):
        raise
    raise ModuleNotFoundError(
        f"wardround_model needs {error.name}, which is not installed. Run `pip install torch`, and in a copy of "
        "Wardround's repository: pip install '.[models]'",
        name=error.name,
    ) from None

__all__ = ["FolderRefused", "TableModel", "load"]
