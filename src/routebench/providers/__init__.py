"""How a model is called."""

from __future__ import annotations

from routebench.providers.asking import Gateway, Told, find_gateway
from routebench.providers.base import (
    Call,
    Keys,
    Provider,
    ProviderKind,
    Streaming,
    encode_messages,
    failed,
    model_key,
    pieces_of,
    prepare,
    render,
    stream,
)
from routebench.providers.embeddings import Embeddings, EmbeddingSpend
from routebench.providers.events import Done, Event, ReasoningDelta, TextDelta, ToolCallDelta
from routebench.providers.recorded import Recorded, completion_from_json, completion_to_json, write_recording
from routebench.providers.registry import (
    book_entry,
    check_requests,
    find_secrets,
    priced_models,
    provider_kind,
    provider_names,
    with_defaults,
)

__all__ = [
    "Call",
    "Done",
    "EmbeddingSpend",
    "Embeddings",
    "Event",
    "Gateway",
    "Keys",
    "Provider",
    "ProviderKind",
    "ReasoningDelta",
    "Recorded",
    "Streaming",
    "TextDelta",
    "Told",
    "ToolCallDelta",
    "book_entry",
    "check_requests",
    "completion_from_json",
    "completion_to_json",
    "encode_messages",
    "failed",
    "find_gateway",
    "find_secrets",
    "model_key",
    "pieces_of",
    "prepare",
    "priced_models",
    "provider_kind",
    "provider_names",
    "render",
    "stream",
    "with_defaults",
    "write_recording",
]
