"""Metrics: pure tensors in, floats out; no Lightning, no models."""
