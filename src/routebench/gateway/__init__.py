"""The policy at work: an OpenAI-compatible gateway that decides every request by a rule set."""
