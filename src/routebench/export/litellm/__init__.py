"""LiteLLM's proxy: one tuned complexity auto-router, with the models, fallbacks and cool-downs around it."""

from __future__ import annotations

from routebench.export.litellm.exporter import LITELLM

__all__ = ["LITELLM"]
