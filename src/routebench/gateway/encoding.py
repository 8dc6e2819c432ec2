"""JSON as it is sent to clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def encoded(value: Any) -> bytes:
    """Returns a value as JSON; halves of characters, of which some servers make answers, become question marks."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        return orjson.dumps(_whole_characters(value), option=orjson.OPT_NON_STR_KEYS)


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_whole_characters(name): _whole_characters(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_characters(inner) for inner in value]
    return value
