"""What the learned strategy knows, in forms that run from a rules.yaml: readable rules, and a head of few numbers."""
