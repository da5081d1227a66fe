"""genlab: which family and which setting is best for this data, and can I trust the number?

Importing the package loads nothing heavy: a command imports what it needs.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
