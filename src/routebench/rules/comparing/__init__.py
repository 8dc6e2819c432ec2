"""Two rule sets side by side: what differs, and which guards were loosened."""
