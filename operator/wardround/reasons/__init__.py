"""The one registry of reasons: what each means, who has to act, and how. Data alone; imports no other package."""
