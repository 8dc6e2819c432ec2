"""What a gateway did: traces over time, beside the evidence, read while they come."""

from __future__ import annotations

from routebench.dash.production.opening import prepared, production
from routebench.dash.production.panel import ProductionPanel

__all__ = ["ProductionPanel", "prepared", "production"]
