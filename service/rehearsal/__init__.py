"""The time machine: a whole programme on a virtual clock, played by a seeded script through the production code."""
