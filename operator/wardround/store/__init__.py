"""The object store as each part sees it: presigned URLs for all, credentials for the hub alone."""
