"""Layers only: no family and no loss."""
