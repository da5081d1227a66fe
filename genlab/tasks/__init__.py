"""Tasks: what can be done with a trained model."""
