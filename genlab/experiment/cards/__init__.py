"""Cards: what is known of a trained model or of a data set, on a page and as JSON."""
