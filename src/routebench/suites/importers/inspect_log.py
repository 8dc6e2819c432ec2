"""Logs of Inspect evaluations: `.json`, and `.eval`, which is a zip of one file a sample."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.answers import Answer, Format
from routebench.suites.importers.benchmark import (
    Cases,
    amount,
    count,
    finished,
    imported_case,
    kind_of_error,
    list_of,
    name_of,
    object_of,
    score_of,
    text_of_value,
    user,
)
from routebench.suites.importers.frames import Tally
from routebench.suites.importers.inspect_file import NAME, LogHead, read_head, read_samples
from routebench.types import Case, ErrorKind, Message, ToolCall, Usage

_LETTERS: Mapping[str, float] = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partly correct, no answer."""
_FINISH: Mapping[str, str] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
}
_MESSAGE_KEYS = ("role", "content", "tool_calls", "tool_call_id", "function")


def read(paths: Sequence[Path], tally: Tally, only: Container[int] | None = None) -> Iterator[Answer]:
    """Reads logs; epochs are samples, and several logs of one task and model go on counting them.

    A prompt is the dataset's input, with its choices where it has them; what the task's own solvers put before it is
    left out. Of several scorers the first one that the log names is taken.

    Raises:
        OutcomesError: a file is not of the format, or a score is a number outside [0, 1].
    """
    return finished(_answers(paths, tally), paths, tally, only)


FORMAT = Format(NAME, "Inspect's logs (.eval, .json)", read)


def _answers(paths: Sequence[Path], tally: Tally) -> Iterator[Answer]:
    cases = Cases()
    next_epochs: dict[tuple[str, str], int] = {}
    for path in paths:
        log = read_head(path)
        if log.status != "success":
            tally.noted[f"logs with status {log.status or 'unknown'}"] += 1
        start = last = next_epochs.get((log.task, log.model), 0)
        for where, sample in read_samples(path):
            case = _case(sample, log, where)
            if case is None:
                tally.skipped["samples without an id or an input"] += 1
                continue
            epoch = sample.get("epoch")
            number = start + (epoch - 1 if isinstance(epoch, int) and epoch > 0 else 0)
            last = max(last, number + 1)
            yield _answer(cases.one(case, where), sample, log, number, where, tally)
        next_epochs[log.task, log.model] = last


def _case(sample: Mapping[str, Any], log: LogHead, where: str) -> Case | None:
    sample_id, messages = name_of(sample.get("id")), _messages(sample.get("input"), sample.get("choices"), where)
    if sample_id is None or not messages:
        return None
    return imported_case(f"{log.task}-{sample_id}", messages, target=sample.get("target"), category=log.task)


def _messages(told: Any, choices: Any, where: str) -> list[Message]:
    if told is None:
        return []
    if isinstance(told, str):
        listed = [f"{chr(ord('A') + at)}) {choice}" for at, choice in enumerate(list_of(choices))]
        return [user("\n".join([told, *listed]))] if told else []
    if not isinstance(told, list) or not all(isinstance(message, dict) and "role" in message for message in told):
        raise OutcomesError(f"{where}: an input is a text or a list of messages with a role")
    return [{key: message[key] for key in _MESSAGE_KEYS if message.get(key) is not None} for message in told]


def _answer(case: Case, sample: Mapping[str, Any], log: LogHead, number: int, where: str, tally: Tally) -> Answer:
    output = object_of(sample.get("output"))
    choice = object_of(next(iter(list_of(output.get("choices"))), None))
    text, calls = _said(object_of(choice.get("message")))
    failure = _failure(sample, output)
    usage, cost_usd = _usage(sample, output, log, where)
    return Answer(
        case,
        log.model,
        score=None if failure else _score(sample, log, where, tally),
        error_kind=failure,
        text=text,
        tool_calls=calls,
        finish_reason=_FINISH.get(str(choice["stop_reason"]), "other") if choice.get("stop_reason") else None,
        usage=usage,
        cost_usd=cost_usd,
        latency_s=_latency(sample, output, where, tally),
        started_at=_moment(sample.get("started_at")),
        sample=number,
        where=where,
    )


def _said(message: Mapping[str, Any]) -> tuple[str | None, tuple[ToolCall, ...]]:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        content = "\n".join(parts)
    calls = tuple(
        ToolCall(name_of(call.get("id")), str(call["function"]), text_of_value(call.get("arguments")) or "")
        for call in list_of(message.get("tool_calls"))
        if isinstance(call, dict) and "function" in call
    )
    return (content if isinstance(content, str) and (content or not calls) else None), calls


def _failure(sample: Mapping[str, Any], output: Mapping[str, Any]) -> ErrorKind | None:
    """Why a sample has no answer that could be scored: `incomplete` where what broke was not the model's call."""
    error = sample.get("error") or output.get("error")
    if not error:
        return None
    told = str(error.get("message") or "") if isinstance(error, dict) else str(error)
    kind = kind_of_error(told)
    return "incomplete" if kind == "server" and sample.get("error") else kind


def _score(sample: Mapping[str, Any], log: LogHead, where: str, tally: Tally) -> float | None:
    scores = object_of(sample.get("scores") or {"score": sample.get("score")})
    if not scores:
        return None
    # A head may name a scorer with its package, as in inspect_ai/match.
    names = (log.scorer or "", (log.scorer or "").rpartition("/")[2])
    name = next((name for name in names if name in scores), next(iter(scores)))
    if len(scores) > 1:
        tally.noted[f"scores by other scorers than {name}, left out"] += len(scores) - 1
    value = scores[name].get("value") if isinstance(scores[name], dict) else scores[name]
    if isinstance(value, str) and value.strip() in _LETTERS:
        return _LETTERS[value.strip()]
    if isinstance(value, (dict, list)) or (isinstance(value, str) and not _is_number(value)):
        tally.noted["scores that are no single number, left unscored"] += 1
        return None
    return score_of(value, where)


def _is_number(text: str) -> bool:
    if text.strip().casefold() in ("true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _usage(
    sample: Mapping[str, Any], output: Mapping[str, Any], log: LogHead, where: str
) -> tuple[Usage, float | None]:
    """Tokens and cost of the model that is evaluated; what a judge used is its own."""
    by_model = sample.get("model_usage")
    told = by_model.get(log.model) if isinstance(by_model, dict) else None
    told = told or output.get("usage")
    if not isinstance(told, dict):
        return Usage(), None
    fresh, total = (
        count(told.get("input_tokens"), "input_tokens", where),
        count(told.get("total_tokens"), "total", where),
    )
    made = count(told.get("output_tokens"), "output_tokens", where)
    hit = count(told.get("input_tokens_cache_read"), "input_tokens_cache_read", where)
    written = count(told.get("input_tokens_cache_write"), "input_tokens_cache_write", where)
    cached = (hit or 0) + (written or 0)
    # Some providers' input holds the cached tokens, and some's does not; the total tells.
    if fresh is not None and cached and (total == fresh + (made or 0) + cached or cached > fresh):
        fresh += cached
    usage = Usage(
        input_tokens=fresh,
        output_tokens=made,
        cached_input_tokens=hit,
        cache_write_tokens=written,
        reasoning_tokens=count(told.get("reasoning_tokens"), "reasoning_tokens", where),
    )
    return usage, amount(told.get("total_cost"), "total_cost", where)


def _latency(sample: Mapping[str, Any], output: Mapping[str, Any], where: str, tally: Tally) -> float | None:
    for name in ("working_time", "total_time"):
        if sample.get(name) is not None:
            if name == "total_time":
                tally.noted["samples without working_time, whose latency holds waiting too"] += 1
            return amount(sample[name], name, where)
    made = [told for told in list_of(sample.get("messages")) if object_of(told).get("role") == "assistant"]
    # Older logs time only the last call, which is all of a sample of one call.
    return amount(output.get("time"), "time", where) if len(made) == 1 else None


def _moment(told: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None
