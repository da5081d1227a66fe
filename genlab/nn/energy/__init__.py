"""Energy models: units, chains, and partition functions."""
