"""The policy at work: an OpenAI-compatible gateway that decides every request by a rule set."""

from __future__ import annotations

from routebench.gateway.gateway import Gateway
from routebench.gateway.settings import GatewayConfig, gateway_json_schema, load_settings

__all__ = ["Gateway", "GatewayConfig", "gateway_json_schema", "load_settings"]
