"""Training: one Lightning module for every family, its callbacks, checkpoints and loggers."""
