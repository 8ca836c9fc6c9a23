"""The running service: edges, use-cases, storage."""
