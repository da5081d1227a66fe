"""Loggers of a run: the run directory first, every other tracker is its mirror."""
