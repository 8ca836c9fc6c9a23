"""The REST edge: one router per noun, schemas, and the one table from errors to status."""
