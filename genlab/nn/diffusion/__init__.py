"""Denoisers: noise levels, output rules, solvers and networks, each a part of its own."""
