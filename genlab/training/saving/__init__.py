"""Saving: checkpoints and exported models."""
