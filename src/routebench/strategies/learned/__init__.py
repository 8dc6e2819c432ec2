"""Scores and costs of every model expected from the prompt's text, and whether they can be at all."""
