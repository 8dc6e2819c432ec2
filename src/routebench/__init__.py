"""routebench: find out which LLM routing rules are right for your prompts."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__"]
