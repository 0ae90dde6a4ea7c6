"""What a pod can reach, asked from inside: its own addresses, and probes of given ones."""
