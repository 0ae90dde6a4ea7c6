"""The verbs of kubectl-wardround: each module adds its verbs to the parser, and carries them out."""
