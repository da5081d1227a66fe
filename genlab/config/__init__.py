"""Is this config right? Where configs lie, and how a run keeps its own. Source is only read."""
