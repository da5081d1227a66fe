"""The only place that knows Lightning's Trainer: one module trains every family."""
