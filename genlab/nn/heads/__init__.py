"""Pixel heads: distributions over discrete images."""
