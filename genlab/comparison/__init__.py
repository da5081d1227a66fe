"""Comparing runs: what was measured of each, which of it compares, and how it is shown."""
