"""Experiments: from a config to objects, from a run directory to a model."""
