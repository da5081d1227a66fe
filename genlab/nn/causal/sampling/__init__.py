"""Sampling engines of causal networks."""
