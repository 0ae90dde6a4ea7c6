"""What the courier decides about one task: the next step, what an error becomes, what the task's report says."""
