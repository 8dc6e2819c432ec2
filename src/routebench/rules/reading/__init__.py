"""What a condition can read of a request: its texts, their words and their language."""
