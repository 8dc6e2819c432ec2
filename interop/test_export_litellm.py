"""Exports to LiteLLM, run by the real proxy on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.conftest import LITELLM as PROGRAM
from routebench.export.litellm.exporter import export_litellm
from routebench.export.litellm.matchers import clause_of
from routebench.export.litellm.plugin import export_asking
from routebench.export.verify.litellm import verify_litellm
from routebench.export.verify.verified import NOBODY
from routebench.rules import RuleSet
from routebench.suites.starter import DEMO, load_starter
from routebench.types import Request
from tests.export.policies import SUPPORT

needs_litellm = pytest.mark.skipif(
    not PROGRAM.exists(), reason="needs LiteLLM in .venv-interop: `make interop` builds it"
)

TUNED = """
schema: routebench/rules/v1
name: tuned
models:
  small: {provider: deepseek, model: deepseek-chat}
  mid: {provider: openai, model: gpt-4o-mini}
  large: {provider: anthropic, model: claude-sonnet-4-5}
rules:
  - {name: legal, when: {any_keyword: [contract, indemnity, "due diligence", c++]}, route: [large, mid]}
  - {name: form, when: {regex: '[0-9]+ *[-+*/]'}, route: [mid, large]}
  - {name: long, when: {characters: {gt: 180}}, route: [large, mid]}
default: {route: [small, mid]}
"""


def asked(*texts: str, **more: object) -> list[Request]:
    return [Request(messages=({"role": "user", "content": text},), **more) for text in texts]  # type: ignore[arg-type]


@needs_litellm
def test_keywords_patterns_and_lengths_route_as_measured_and_fail_over() -> None:
    ruleset = RuleSet.parse(TUNED)
    texts = [
        "Hello",
        "the CONTRACT",
        "subcontracts",
        "contract.",
        "due diligence, please",
        "I like c++ best",
        "12 + 30",
        "12 apples",
        "contract 12 + 30",
        "x" * 180,
        "x" * 181,
        "x" * 300 + " 1 * 2",
    ]
    verified = verify_litellm(export_litellm(ruleset), ruleset, asked(*texts), product=PROGRAM)
    assert verified.by.startswith("LiteLLM 1.")
    assert (verified.n, verified.agreement) == (len(texts), 1.0)
    assert verified.remarks[0] == f"{len(texts)} of {len(texts)} prompts went where the replay of the export says."
    failed = [one for one in verified.remarks if one.startswith("Failover")]
    assert sorted(failed) == [
        "Failover: with large out of order mid answered.",
        "Failover: with mid out of order large answered.",
        "Failover: with small out of order mid answered.",
    ]


@needs_litellm
def test_a_classifier_beside_the_config_holds_guards_for_the_whole_conversation(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(SUPPORT, encoding="utf-8")
    ruleset = RuleSet.load(path)
    turns = (
        {"role": "user", "content": "a contract"},
        {"role": "assistant", "content": "What about it?"},
        {"role": "user", "content": "1 + 1"},
    )
    requests = [
        *asked("hello", "1 + 1", "the contract", "x" * 200, "json " + "x" * 200),
        *asked("1 + 1", metadata={"data_class": "eu_personal"}),
        Request(messages=turns),
    ]
    verified = verify_litellm(export_asking(ruleset), ruleset, requests, product=PROGRAM)
    assert verified.agreement == 1.0, verified
    assert NOBODY not in {one.actual for one in verified.matrix}


@needs_litellm
def test_the_starter_suite_goes_where_the_rules_send_it() -> None:
    text = (DEMO / "starter.jsonl").read_text(encoding="utf-8")
    assert text
    ruleset = RuleSet.parse(TUNED)
    requests = [case.request for case in load_starter()]
    verified = verify_litellm(export_litellm(ruleset, requests=requests), ruleset, requests, product=PROGRAM)
    assert verified.agreement is not None
    assert verified.agreement >= 0.99, verified


def test_the_work_of_patterns_is_what_litellm_says_it_is() -> None:
    (matcher,) = clause_of({"regex": "[0-9]+ *[-+*/]"})
    assert matcher.patterns == ("[0-9]{1,12} {0,12}[-+*/]",)
