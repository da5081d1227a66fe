"""Leaderboards of runs: read, ranked by what compares, and shown."""
