"""Generators, discriminators, and what they minimize."""
