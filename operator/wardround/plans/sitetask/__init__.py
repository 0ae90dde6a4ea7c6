"""What a site decides about a task: its rules, what they read of pod, hub and other tasks, and what they answer."""
