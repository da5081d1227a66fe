"""Mathematics of what a trained model is used for: numbers in, numbers out, no model."""
