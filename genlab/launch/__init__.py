"""Hydra's inside, which nothing else touches."""
