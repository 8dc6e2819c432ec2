from __future__ import annotations

import pytest

from routebench.errors import RulesError
from routebench.rules import RuleSet, check_golden, rules_json_schema
from routebench.rules.file.loading import parse_guard

TEXT = """\
schema: routebench/rules/v1
name: support
models:
  small: {provider: openai, model: s, price: {input_usd_per_mtok: 0.1}}
  large: {provider: openai, model: l}
guards:
  - {name: legal, when: {any_keyword: [contract]}, at_least: large}
rules:
  - {name: tables, when: {regex: 'a table'}, route: [small, large]}
  - {name: long, when: {words: {gt: 20}, not: {is_question: true}}, route: [large]}
default: {mix: [{share: 0.7, route: [small, large]}, {share: 0.3, route: [large]}]}
golden:
  - {prompt: draw a table, decision: [small, large], rule: tables}
"""


def broken(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(RulesError) as caught:
        RuleSet.parse(text, name="r.yaml")
    return str(caught.value)


def test_a_rule_set_survives_being_written_and_read() -> None:
    ruleset = RuleSet.parse(TEXT)
    assert RuleSet.parse(ruleset.to_yaml()) == ruleset
    assert ruleset.order == ("small", "large")


def test_golden_decisions_hold_until_one_is_edited() -> None:
    assert not check_golden(RuleSet.parse(TEXT)).failed
    edited = RuleSet.parse(TEXT.replace("decision: [small, large], rule: tables", "decision: [large], rule: tables"))
    (failure,) = check_golden(edited).failed
    assert "expected large by tables, now small > large by tables" in str(failure)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("default:", "defualt:", "r.yaml:11:1: unknown key 'defualt' (did you mean 'default'?)"),
        ("any_keyword", "any_keywords", "unknown key 'any_keywords' (did you mean 'any_keyword'?)"),
        (
            "route: [large]}\ndefault",
            "route: [larg]}\ndefault",
            "r.yaml:10:69: no model 'larg' (did you mean 'large'?)",
        ),
        ("regex: 'a table'", "regex: '(?=a)'", "RE2 syntax"),
        ("share: 0.3", "share: 0.4", "add up to 1.1"),
        ("0.1}", "-0.1}", "a price is not negative"),
        ("at_least: large", "at_least: huge", "no model 'huge'"),
        ("at_least: large", "at_least: large, never: [small]", "needs one of"),
        ("name: long,", "name: tables,", "rule 'tables' stands twice"),
        ("words: {gt: 20}", "words: {gt: 20, lt: 10}", "nothing can match"),
        (
            "name: support\n",
            "name: support\nhealth: {windw_s: 10}\n",
            "unknown key 'windw_s' (did you mean 'window_s'?)",
        ),
        ("name: support\n", "name: support\nname: again\n", "key 'name' stands twice"),
        ("name: support\n", "name: [\n", "not valid YAML"),
        ("regex: 'a table'", "", "matches every request"),
        ("name: long,", "name: default,", "r.yaml:10:6: a rule cannot be called 'default'"),
        (
            "- {name: long, when: {words: {gt: 20}, not: {is_question: true}}",
            "- {name: long, when: {any: [{words: {gt: 3}}, {not: {regex: '(a'}}]}",
            "r.yaml:10:56: regex '(a'",
        ),
        (
            "route: [small, large]}\n  -",
            "route: [small, large], cascade: usable}\n  -",
            "r.yaml:9:69: no check 'usable'; describe it under the key `cascade` of the file",
        ),
        (
            "default:",
            "cascade: {ok: {finsh: [stop]}}\ndefault:",
            "r.yaml:11:16: unknown key 'finsh' (did you mean 'finish'?)",
        ),
        ("default:", "cascade: {ok: {finish: [done]}}\ndefault:", "'stop', 'length', 'tool_calls' or 'other'"),
        ("model: l}", "model: l, deployments: [{weight: 0}]}", "r.yaml:5:54: `weight`: input should be greater than 0"),
        (
            "default:",
            "budget: {usd_per_day: 5, timezone: Europe/Berln}\ndefault:",
            "r.yaml:11:26: no time zone 'Europe/Berln'",
        ),
        ("default:", "health: {p90_s: {smal: 2}}\ndefault:", "r.yaml:11:18: no model 'smal' (did you mean 'small'?)"),
        (
            "default:",
            "complexity: {classifier: {kind: heuristic, weights: {log_words: 1}}, tiers: [{below: 0.5, route: [small]}]}\ndefault:",
            "the last tier takes the rest: leave its `below` out",
        ),
        (
            "default:",
            "complexity: {classifier: {kind: heuristic, weights: {log_wrds: 1}}, tiers: [{route: [small]}]}\ndefault:",
            "no surface feature 'log_wrds' (did you mean 'log_words'?)",
        ),
        (
            "default:",
            "complexity: {classifier: {kind: pickle, artifact: a.pkl}, tiers: [{route: [small]}]}\ndefault:",
            "input should be 'heuristic' or 'logistic'",
        ),
        (
            "default:",
            "complexity: {classifier: {kind: logistic, artifact: gone.json, sha256: "
            + "a" * 64
            + "}, tiers: [{route: [small]}]}\ndefault:",
            "gone.json",
        ),
        ("default:", "similarity: {library: {artifact: past.npz, sha256: " + "a" * 64 + "}}\ndefault:", "past.npz"),
        ("at_least: large", "regions: [eu], only: [large]", "needs one of `only`, `never`, `at_least`, `regions`"),
        ("name: support\n", "name: support\nsticky: maybe\n", "'conversation' or 'none'"),
        ("prompt: draw a table", "digest: abc", "r.yaml:13:6: `digest`"),
    ],
)
def test_every_mistake_is_named_with_its_place_and_mend(old: str, new: str, words: str) -> None:
    assert words in broken((old, new))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("any_keyword: [a, b]", "any_keyword: [B]"),
        ("words: {gt: 3}", "words: {ge: 5}, is_question: true"),
        ("regex: x", "regex: x"),
        ("tag: [a, b]", "tag: a"),
    ],
)
def test_a_rule_that_nothing_reaches_is_an_error(first: str, second: str) -> None:
    message = broken(("regex: 'a table'", first), ("words: {gt: 20}, not: {is_question: true}", second))
    assert "rule 'long' is never reached: 'tables' before it" in message


def test_overlapping_rules_are_fine() -> None:
    text = TEXT.replace("regex: 'a table'", "words: {gt: 30}").replace(
        "words: {gt: 20}, not: {is_question: true}", "words: {gt: 20}"
    )
    assert len(RuleSet.parse(text).rules) == 2


def test_a_guard_of_a_bench_file_is_checked_too() -> None:
    assert parse_guard({"name": "g", "when": {"tag": "x"}, "never": ["small"]}).never == ("small",)
    with pytest.raises(RulesError, match="needs one of"):
        parse_guard({"name": "g", "when": {"tag": "x"}})


def test_the_json_schema_describes_every_key() -> None:
    schema = rules_json_schema()
    assert schema["properties"]["golden"]["description"]
    assert schema["$defs"]["WhenSettings"]["properties"]["in"]["description"]
