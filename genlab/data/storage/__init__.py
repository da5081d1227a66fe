"""Storage: how the bytes of a data set are found, verified and decoded."""
