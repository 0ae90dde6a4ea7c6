"""The object store. All parts use presigned URLs; only the hub has credentials."""
