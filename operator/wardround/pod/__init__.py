"""Our own containers in the training pod: pure steps on folders, callable without Kubernetes; no network, no keys."""
