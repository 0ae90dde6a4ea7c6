"""Pure builders of the Jobs that the operators create."""
