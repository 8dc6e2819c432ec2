"""Numbers that were learned elsewhere: features, artifacts, classifiers, libraries of past prompts."""
