"""Where a run is written down: the run directory first, every other logger is its mirror.

`build` makes the list from the configuration; nothing heavy is imported before it is used.
"""

__all__: list[str] = []
