"""Data sets as uint8 tensors, checked against a manifest, and the loaders of their batches."""
