"""Keys, envelopes, bodies and manifests: a file opens for one recipient only, and its sender is verified."""
