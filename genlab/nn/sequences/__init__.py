"""Networks and tables over sequences of ids."""
