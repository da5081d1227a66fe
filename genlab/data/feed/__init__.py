"""Feed: how batches come to the trainer."""
