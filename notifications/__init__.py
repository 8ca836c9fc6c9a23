"""Telling people: an outbox and the channels that empty it. What is told, and to whom, the service decides."""
