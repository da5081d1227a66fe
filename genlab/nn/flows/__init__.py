"""Invertible maps with a tractable log-determinant."""
