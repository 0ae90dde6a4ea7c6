"""The built-in trainer: tabular binary classification in torch, behind the training contract of Wardround."""
