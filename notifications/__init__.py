"""Telling people: an outbox and the channels that empty it. Nothing is told yet: mail comes with the obligations."""
