"""How a model is called."""

from __future__ import annotations

from routebench.providers.base import Call, Provider, model_key, prepare, request_key
from routebench.providers.recorded import Recorded, completion_from_json, completion_to_json, write_recording
from routebench.providers.registry import check_models, open_provider, provider_names, unknown_provider

__all__ = [
    "Call",
    "Provider",
    "Recorded",
    "check_models",
    "completion_from_json",
    "completion_to_json",
    "model_key",
    "open_provider",
    "prepare",
    "provider_names",
    "request_key",
    "unknown_provider",
    "write_recording",
]
