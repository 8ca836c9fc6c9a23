"""Where the rows live: tables without rules, the engine, and the one commit."""
