"""vLLM Semantic Router's own validator on an exported config, and its decisions replayed by what its sources say.

Its router is a container of Go and Rust with Envoy before it, which is not started here. So every agreement is that of
`SignalReplay`, which reads the written config, not the rule set; and it says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import re2
import yaml

from routebench.errors import ProviderError
from routebench.export.verify.expected import first_models
from routebench.export.verify.product import ended, find_program
from routebench.export.verify.verified import NOBODY, Verified
from routebench.export.vllm_sr.places import places_of
from routebench.rules import Reading, RuleSet
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.export.target import Exported

PROGRAM = ".venv-interop-vllm-sr/bin/vllm-sr"
_INSTALL = "`make interop` builds .venv-interop-vllm-sr with it, or: pip install vllm-sr==0.4.0"
_SUFFIXES = {"K": 1_000, "M": 1_000_000}


def verify(
    exported: Exported, original: RuleSet, requests: Sequence[Request], *, product: Path | None = None
) -> Verified:
    """Runs `vllm-sr config validate`, and replays the config's decisions; see `Verifying`."""
    program = find_program(
        product,
        variable="ROUTEBENCH_VLLM_SR",
        places=[Path(PROGRAM)],
        name="vllm-sr",
        title="vLLM Semantic Router",
        install=_INSTALL,
    )
    text = next(iter(exported.files.values()))
    version = _validated(program, text)
    replay = SignalReplay(yaml.safe_load(text))
    names = {place.alias: name for name, places in places_of(original).items() for place in places}
    return Verified.of(
        f"vllm-sr {version}, its validator",
        "validated",
        first_models(original, requests),
        [names.get(alias, alias) for alias in map(replay.decide, requests)],
        ["`vllm-sr config validate` accepts the config. Its router was not run: the agreement is that of a replay."],
    )


def _validated(program: Path, text: str) -> str:
    """The validator's version, where it accepts a config."""
    with tempfile.TemporaryDirectory(prefix="routebench-") as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text, encoding="utf-8")
        told = ended(program, ["config", "validate", "--config", str(path)], install=_INSTALL)
    if told.returncode != 0:
        said = " ".join((told.stderr + told.stdout).split())
        raise ProviderError(f"vllm-sr refuses the config: {said[-600:]}")
    version = ended(program, ["--version"], install=_INSTALL).stdout.split()
    return version[-1] if version else "of an unknown version"


class SignalReplay:
    """Decides as vLLM Semantic Router does, of the signals that need no model.

    Keywords stand between word boundaries of ASCII and ignore case; patterns are RE2; of the decisions whose rules
    match the one with the highest priority is taken, one without rules last; its first model is asked. Tokens are
    bytes divided by four, rounded up, as long as it has counted no answers.

    Args:
        config: as it is written.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        routing = config["routing"]
        self._decisions = sorted(
            routing["decisions"],
            key=lambda one: (not one["rules"]["conditions"], -one["priority"], one["name"]),
        )
        self._signals: dict[tuple[str, str], Callable[[Reading], bool]] = {}
        for family, (kind, build) in _FAMILIES.items():
            for signal in routing["signals"].get(family, ()):
                self._signals[kind, signal["name"]] = build(signal)

    def decide(self, request: Request) -> str:
        """Returns the model that is asked first, nobody where the config answers in a model's place."""
        reading = Reading(request)
        found = next(one for one in self._decisions if self._holds(one["rules"], reading))
        if any(plugin["type"] == "fast_response" for plugin in found.get("plugins", ())):
            return NOBODY
        model: str = found["modelRefs"][0]["model"]
        return model

    def _holds(self, node: Mapping[str, Any], reading: Reading) -> bool:
        if "type" in node:
            return self._signals[node["type"], node["name"]](reading)
        parts = (self._holds(one, reading) for one in node["conditions"])
        if node["operator"] == "OR":
            return any(parts)
        return all(parts) if node["operator"] == "AND" else not next(parts)


def _keywords(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    patterns = [re2.compile(rf"(?i)\b{re2.escape(one)}\b") for one in signal["keywords"]]
    return lambda reading: any(one.search(reading.text("user").text) is not None for one in patterns)


def _structure(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    source = signal["feature"]["source"]
    # `$$` stands for a dollar, since `$NAME` is a variable.
    pattern = re2.compile(source["pattern"].replace("$$", "$"))
    bounds = signal.get("predicate")
    if bounds is None:
        return lambda reading: pattern.search(reading.text("user").text) is not None
    # Of a text without a word nothing matches there, whatever the bounds.
    return lambda reading: (
        bool(reading.text("user").text.strip())
        and _within(sum(1 for _ in pattern.finditer(reading.text("user").text)), bounds)
    )


def _context(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    least, most = _tokens(signal.get("min_tokens", "0")), _tokens(signal.get("max_tokens", "inf"))
    return lambda reading: least <= -(-len(reading.text("any").data) // 4) <= most


def _tokens(text: str) -> float:
    return float(text[:-1]) * _SUFFIXES[text[-1]] if text[-1] in _SUFFIXES else float(text)


def _conversation(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    source, bounds = signal["feature"]["source"], signal.get("predicate") or {"gte": 1}

    def number(reading: Reading) -> int:
        if source["type"] == "tool_definition":
            return len(reading.request.tools)
        if source["type"] == "image_content":
            return int(reading.has_images)
        role = source.get("role")
        return sum(role in (None, message.get("role")) for message in reading.request.messages)

    return lambda reading: _within(number(reading), bounds)


def _metadata(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    key, predicate = signal["key"].replace("$$", "$"), signal["predicate"]
    values = [one.replace("$$", "$") for one in predicate.get("in") or [predicate["equals"]]]
    return lambda reading: reading.request.metadata.get(key) in values


def _language(signal: Mapping[str, Any]) -> Callable[[Reading], bool]:
    # Its detector is not ours: this is where a replay cannot know.
    return lambda reading: reading.text("user").language == signal["name"]


_Build = Callable[[Mapping[str, Any]], Callable[[Reading], bool]]
_FAMILIES: Mapping[str, tuple[str, _Build]] = {
    "keywords": ("keyword", _keywords),
    "structure": ("structure", _structure),
    "context": ("context", _context),
    "conversation": ("conversation", _conversation),
    "metadata": ("metadata", _metadata),
    "language": ("language", _language),
}
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "gt": float.__gt__,
    "gte": float.__ge__,
    "lt": float.__lt__,
    "lte": float.__le__,
}


def _within(number: float, bounds: Mapping[str, float]) -> bool:
    return all(_COMPARED[name](float(number), float(bound)) for name, bound in bounds.items())
