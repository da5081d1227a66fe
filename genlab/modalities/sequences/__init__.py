"""Sequences of characters as a kind of data."""
