"""How models and deployments are doing, and who is passed over."""
