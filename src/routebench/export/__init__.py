"""The policy elsewhere: what other gateways load, what is lost on the way, and what the loss does."""
