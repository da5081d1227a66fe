"""Races: successive halving of candidates over resumable runs, within a budget, to a verdict."""
