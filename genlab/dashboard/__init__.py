"""The local dashboard: run directories followed live, shown by trackio's page."""
