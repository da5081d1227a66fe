"""Operating system: signals, locks, paths, secrets, the terminal; imports nothing heavy."""
