"""One training step: losses, gradients, averages."""
