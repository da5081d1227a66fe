"""Causal networks: layers in raster order."""
