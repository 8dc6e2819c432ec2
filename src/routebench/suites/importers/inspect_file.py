"""Files of Inspect logs: a JSON object that ends in its samples, or a zip of a head and one file a sample."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.benchmark import json_object, name_of, not_of_format, object_of

NAME = "inspect"
_ATTACHMENT = re.compile(r"attachment://([0-9a-f]{32})")
_ZIP = b"PK"


@dataclass(frozen=True, slots=True)
class LogHead:
    """What stands at the head of a log.

    Attributes:
        status: `success`, `cancelled`, `error`, or `started` while its run has not ended.
        scorer: whose scores are taken; None where the head names none.
    """

    task: str
    model: str
    status: str | None
    scorer: str | None


def read_head(path: Path) -> LogHead:
    """Returns what stands at the head of a log.

    Raises:
        OutcomesError: the file is no log, or is not whole.
    """
    found = _zipped_head(path) if _is_zip(path) else _json_head(path)
    told = object_of(found.get("eval"))
    task, model = name_of(told.get("task")), name_of(told.get("model"))
    if task is None or model is None:
        raise not_of_format(path, NAME, "its head has no eval.task and eval.model", found)
    scorers = told.get("scorers") or object_of(found.get("results")).get("scores")
    first = object_of(scorers[0]) if isinstance(scorers, list) and scorers else {}
    return LogHead(task, model, name_of(found.get("status")), name_of(first.get("name")))


def _json_head(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, number, value in json_object(path, ("samples",), NAME):
        if number == 0:
            found[name] = value
        elif "eval" in found and "status" in found:
            break
    return found


def read_samples(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the samples of a log one at a time, each with its place and its attachments put back.

    Raises:
        OutcomesError: a sample cannot be read; it is named.
    """
    if not _is_zip(path):
        for _, number, value in json_object(path, ("samples",), NAME):
            if number:
                yield f"{path}: sample {number}", _attached(value)
        return
    with _opened(path) as archive:
        for name in archive.namelist():
            if name.startswith("samples/") and name.endswith(".json"):
                yield f"{path}: {name}", _attached(_parsed(archive, name, path))


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except FileNotFoundError:
        raise OutcomesError(f"{path}: no such file") from None
    except OSError as error:
        raise OutcomesError(f"{path}: cannot be read ({error})") from None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise OutcomesError(f"{path}: not a whole .eval file ({error}); was its run or its copy cut off?") from None


def _zipped_head(path: Path) -> dict[str, Any]:
    with _opened(path) as archive:
        names = set(archive.namelist())
        # The head is written when a run ends; until then there is what it began with.
        for name in ("header.json", "_journal/start.json"):
            if name in names:
                return {"status": "started", **_parsed(archive, name, path)}
    raise not_of_format(path, NAME, "the zip holds neither header.json nor _journal/start.json", ())


def _parsed(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(archive.read(name))
    except NotImplementedError:
        raise OutcomesError(
            f"{path}: {name}: packed in a way that Python cannot unpack; convert the log: inspect log convert --to json"
        ) from None
    except (ValueError, RecursionError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise OutcomesError(f"{path}: {name}: cannot be read ({error}); is the file whole?") from None
    if not isinstance(found, dict):
        raise OutcomesError(f"{path}: {name}: expected a JSON object, got {type(found).__name__}")
    return found


def _attached(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample without its events, its attachments put back where they were taken out."""
    texts = sample.get("attachments")
    kept = {name: value for name, value in sample.items() if name not in ("attachments", "events", "store")}
    return _filled(kept, texts) if isinstance(texts, dict) and texts else kept


def _filled(value: Any, texts: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and "attachment://" in value:
        return _ATTACHMENT.sub(lambda found: str(texts.get(found[1], found[0])), value)
    if isinstance(value, dict):
        return {name: _filled(part, texts) for name, part in value.items()}
    return [_filled(part, texts) for part in value] if isinstance(value, list) else value
