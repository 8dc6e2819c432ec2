"""JSON as people read it: what fits on a line stands on one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LINE = 110


def json_text(value: Any) -> str:
    """Returns the text of a JSON file."""
    return _text(value, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + 2 * depth <= _LINE or not isinstance(value, (Mapping, list, tuple)) or not value:
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        rows = [f"{json.dumps(key, ensure_ascii=False)}: {_text(one, depth + 1)}" for key, one in value.items()]
        opens, closes = "{", "}"
    else:
        rows = [_text(one, depth + 1) for one in value]
        opens, closes = "[", "]"
    return f"{opens}\n{inner}" + f",\n{inner}".join(rows) + f"\n{outer}{closes}"
