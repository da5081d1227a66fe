"""Latent codes: distributions, priors and codebooks."""
