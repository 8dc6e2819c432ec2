"""The rules.yaml: its shape, how it is read, written and checked."""
