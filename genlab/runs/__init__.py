"""Run directories as a data structure; imports nothing heavy."""
