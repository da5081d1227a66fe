"""Sweeps that survive: a manifest of jobs, each in a process of its own under any launcher."""
