"""One family a file: the mathematics and nothing else."""
