"""Kinds of data: how each is checked, rendered, saved and counted."""
