"""vLLM Semantic Router: conditions as signals, guards and rules as decisions by priority."""
