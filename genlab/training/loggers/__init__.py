"""Where a run is written down: the run directory first, every other logger is its mirror."""
