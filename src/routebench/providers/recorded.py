"""Answers from a recording: what a real run brought, found again by the content of the call."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from routebench.errors import ConfigError
from routebench.providers.base import Call, failed
from routebench.types import Completion, Usage

_USAGE_FIELDS = {field.name for field in fields(Usage)}
_FIELDS = {field.name for field in fields(Completion)}


def completion_to_json(completion: Completion) -> dict[str, Any]:
    """Returns the flat, JSON-ready form of a completion; unknown fields are left out."""
    flat = asdict(completion)
    usage = flat.pop("usage")
    flat |= {"usage_raw" if key == "raw" else key: value for key, value in usage.items()}
    if completion.started_at is not None:
        flat["started_at"] = completion.started_at.isoformat()
    return {key: value for key, value in flat.items() if value is not None}


def completion_from_json(flat: dict[str, Any]) -> Completion:
    """Turns the flat form back; unknown keys are ignored, so that newer recordings open."""
    usage = Usage(
        **{key: flat[key] for key in _USAGE_FIELDS - {"raw"} if key in flat},
        raw=flat.get("usage_raw"),
    )
    known = {key: value for key, value in flat.items() if key in _FIELDS and key not in ("usage", "started_at")}
    started_at = flat.get("started_at")
    return Completion(usage=usage, started_at=datetime.fromisoformat(started_at) if started_at else None, **known)


def write_recording(path: Path, rows: Iterable[tuple[str, Completion]]) -> None:
    """Writes (request key, completion) pairs, sorted by key, as gzipped JSON lines with a fixed header time."""
    lines = [
        json.dumps({"request_key": key, **completion_to_json(completion)}, ensure_ascii=False, sort_keys=True)
        for key, completion in sorted(rows, key=lambda row: row[0])
    ]
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as file:
        file.write("".join(line + "\n" for line in lines).encode())


class Recorded:
    """Stands in for every provider: answers from the recording, with the latencies that were measured then.

    Raises:
        ConfigError: the recording cannot be read.
    """

    max_concurrency: int | None = None

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
        answer = self._answers.get(call.key)
        if answer is None:
            return failed("bad_request", f"{self._path.name} holds no answer of {call.model.name!r} to this request")
        return answer

    async def aclose(self) -> None:
        """Nothing to free."""
