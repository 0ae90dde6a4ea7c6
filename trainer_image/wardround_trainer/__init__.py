"""The built-in trainer: binary classification of tables in torch. It implements Wardround's training contract."""
