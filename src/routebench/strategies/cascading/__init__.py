"""How a cascade is learned: what answers tell, what going on gains by it, which chains and thresholds are worth it."""
