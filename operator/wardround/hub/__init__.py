"""The hub operator: wiring of plans to the API server and the store. Decides nothing that a plan could."""
