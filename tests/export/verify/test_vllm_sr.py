from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from routebench.errors import MissingDependencyError, ProviderError
from routebench.export.verify.vllm_sr import SignalReplay
from routebench.export.vllm_sr.exporter import VLLM_SR
from routebench.types import Request
from tests.export.policies import support


def decided(signals: dict[str, Any], rules: dict[str, Any], *messages: dict[str, Any], **known: Any) -> bool:
    """Whether a decision with these rules is taken before the one that is for everything else."""
    decisions = [
        {"name": "yes", "priority": 0, "rules": rules, "modelRefs": [{"model": "yes"}]},
        {"name": "no", "priority": 99, "rules": {"operator": "AND", "conditions": []}, "modelRefs": [{"model": "no"}]},
    ]
    replay = SignalReplay({"routing": {"signals": signals, "decisions": decisions}})
    return replay.decide(Request(messages, **known)) == "yes"


def asked(kind: str) -> dict[str, Any]:
    return {"operator": "AND", "conditions": [{"type": kind, "name": "s"}]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("text", "found"), [("A Contract.", True), ("contracts", False), ("contract\u00e9", True), ("sub-contract", True)]
)
def test_keywords_stand_between_word_boundaries_of_ascii(text: str, found: bool) -> None:
    signals = {"keywords": [{"name": "s", "operator": "OR", "keywords": ["contract"], "case_sensitive": False}]}
    assert decided(signals, asked("keyword"), user(text)) is found


@pytest.mark.parametrize(("text", "found"), [("abc", True), ("abcd", False), ("", False)])
def test_counts_are_bounded_and_an_empty_text_matches_nothing(text: str, found: bool) -> None:
    source = {"type": "regex", "pattern": "(?s:.)", "case_sensitive": True}
    signals = {"structure": [{"name": "s", "feature": {"type": "count", "source": source}, "predicate": {"lte": 3}}]}
    assert decided(signals, asked("structure"), user(text)) is found


def test_tokens_are_bytes_by_four_of_every_message() -> None:
    signals = {"context": [{"name": "s", "min_tokens": "3", "max_tokens": "1K"}]}
    assert decided(signals, asked("context"), user("12345"), {"role": "assistant", "content": "678"})
    assert not decided(signals, asked("context"), user("1234567"))


def test_messages_and_tools_are_counted() -> None:
    of = {"type": "message", "role": "user"}
    turns = {"name": "s", "feature": {"type": "count", "source": of}, "predicate": {"gte": 2}}
    assert decided({"conversation": [turns]}, asked("conversation"), user("a"), user("b"))
    assert not decided({"conversation": [turns]}, asked("conversation"), user("a"))
    tools = {"name": "s", "feature": {"type": "exists", "source": {"type": "tool_definition"}}}
    assert decided({"conversation": [tools]}, asked("conversation"), user("a"), tools=({"type": "function"},))
    assert not decided({"conversation": [tools]}, asked("conversation"), user("a"))


def test_metadata_are_compared_as_texts() -> None:
    signals = {"metadata": [{"name": "s", "key": "data", "predicate": {"equals": "eu"}}]}
    assert decided(signals, asked("metadata"), user("a"), metadata={"data": "eu"})
    assert not decided(signals, asked("metadata"), user("a"))


def test_not_or_and_and() -> None:
    signals = {"metadata": [{"name": "s", "key": "data", "predicate": {"equals": "eu"}}]}
    leaf = {"type": "metadata", "name": "s"}
    negated = {"operator": "NOT", "conditions": [leaf]}
    assert decided(signals, negated, user("a"))
    assert decided(signals, {"operator": "OR", "conditions": [leaf, negated]}, user("a"))
    assert not decided(signals, {"operator": "AND", "conditions": [leaf, negated]}, user("a"))


def test_a_validator_that_is_not_installed_is_named_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="pip install vllm-sr"):
        VLLM_SR.verify(VLLM_SR.export(support()), support(), [], product=tmp_path / "vllm-sr")


def test_a_config_that_the_validator_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    program = tmp_path / "vllm-sr"
    program.write_text("#!/bin/sh\necho 'Error: routing.decisions: no'\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ProviderError, match=r"Error: routing\.decisions: no"):
        VLLM_SR.verify(VLLM_SR.export(support()), support(), [], product=program)
