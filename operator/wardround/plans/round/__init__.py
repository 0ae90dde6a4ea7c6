"""What the hub decides about a round: its rules, what they read and answer, and how the round is shown."""
