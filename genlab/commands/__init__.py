"""One file a command, each a plain function."""
