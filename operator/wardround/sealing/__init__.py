"""Envelopes, keys, bodies and manifests: what makes a file readable to one recipient and traceable to one sender."""
