"""Components of mixtures by their mean sufficient statistics."""
