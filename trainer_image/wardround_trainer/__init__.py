"""The built-in trainer: tabular binary classification in torch, behind Wardround's training contract."""
