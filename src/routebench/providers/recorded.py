"""Answers from a recording: what a real run brought, found again by the content of the call."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from routebench.errors import ConfigError
from routebench.providers.base import Call, Keys, failed
from routebench.types import Completion, ToolCall, Usage

_COUNTS = tuple(field.name for field in fields(Usage) if field.name != "raw")
_NOT_FLAT = ("usage", "tool_calls", "logprobs")
_FLAT = tuple(field.name for field in fields(Completion) if field.name not in _NOT_FLAT)


def completion_to_json(completion: Completion) -> dict[str, Any]:
    """Returns the flat, JSON-ready form of a completion; unknown fields are left out."""
    # Not `asdict`: it copies every value deeply, and a run writes one of these for each answer.
    flat = {name: value for name in _FLAT if (value := getattr(completion, name)) is not None}
    usage = completion.usage
    flat |= {name: value for name in _COUNTS if (value := getattr(usage, name)) is not None}
    if usage.raw is not None:
        flat["usage_raw"] = usage.raw
    if completion.tool_calls:
        flat["tool_calls"] = [asdict(call) for call in completion.tool_calls]
    for name in ("started_at", "price_date"):
        if name in flat:
            flat[name] = flat[name].isoformat()
    return flat


def completion_from_json(flat: dict[str, Any]) -> Completion:
    """Turns the flat form back; unknown keys are ignored, so that newer recordings open."""
    usage = Usage(**{name: flat[name] for name in _COUNTS if name in flat}, raw=flat.get("usage_raw"))
    known = {name: flat[name] for name in _FLAT if name in flat}
    if "started_at" in known:
        known["started_at"] = datetime.fromisoformat(known["started_at"])
    if "price_date" in known:
        known["price_date"] = date.fromisoformat(known["price_date"])
    calls = tuple(ToolCall(**call) for call in flat.get("tool_calls", ()))
    return Completion(usage=usage, tool_calls=calls, **known)


def write_recording(path: Path, rows: Iterable[tuple[str, Completion]]) -> None:
    """Writes (request key, completion) pairs, sorted by key, as gzipped JSON lines with a fixed header time."""
    lines = [
        json.dumps({"request_key": key, **completion_to_json(completion)}, ensure_ascii=False, sort_keys=True)
        for key, completion in sorted(rows, key=lambda row: row[0])
    ]
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as file:
        file.write("".join(line + "\n" for line in lines).encode())


def _key_of(call: Call) -> str:
    """The key of a call that has none, such as a gateway's: what the model adds is in its request already."""
    bare = replace(call.model, params={}, system=None, few_shot=())
    return Keys(bare).of(call.request, call.sample)


class Recorded:
    """Stands in for every provider: answers from the recording, with the latencies that were measured then.

    Raises:
        ConfigError: the recording cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._answers: dict[str, Completion] = {}
        try:
            with gzip.open(self._path, "rt", encoding="utf-8", newline="\n") as file:
                for line in file:
                    flat = json.loads(line)
                    self._answers[flat.pop("request_key")] = completion_from_json(flat)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: not a recording ({error}); record one with a run and `write_recording`"
            ) from None

    async def complete(self, call: Call) -> Completion:
        """Returns the recorded answer; a call that was not recorded is a typed error."""
        answer = self._answers.get(call.key or _key_of(call))
        if answer is None:
            return failed("bad_request", f"{self._path.name} holds no answer of {call.model.name!r} to this request")
        return answer

    async def aclose(self) -> None:
        """Nothing to free."""
