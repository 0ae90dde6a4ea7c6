"""kubectl-wardround: enrol and approve hospitals, watch rounds, explain why something waits or failed."""
