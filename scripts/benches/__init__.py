"""What `scripts/bench.py` measures, a subject a file."""
