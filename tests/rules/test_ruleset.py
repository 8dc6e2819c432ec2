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
        ("words: {gt: 20}", "metadata: eu, metadata.x: 1", "r.yaml:10:"),
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
        (
            "default:",
            "health: {window_s: 30, max_window_s: 20}\ndefault:",
            "r.yaml:11:1: `window_s` is 30 and `max_window_s` 20: the window is stretched to that, so it must be the",
        ),
        (
            "default:",
            "health: {reopen_of: 3}\ndefault:",
            "r.yaml:11:1: `reopen_bad` is 3 of the last `reopen_of` 3: a model that fails every probe would count as",
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
            "`kind` is 'pickle'; it is one of 'heuristic', 'logistic' or 'llm'",
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
        ("route: [large]}\ndefault", "route: large}\ndefault", "r.yaml:10:69: `route` is a list; write [large]"),
        (
            "words: {gt: 20}",
            "words: 20",
            "r.yaml:10:25: `words` is the number 20, and keys with values should stand there, such as `words: {gt: 500}`",
        ),
        (
            "[contract]",
            "[yes, 42, '']",
            (
                "r.yaml:7:40: entry 1 of `any_keyword` is read as true; put it in quotes if it is a text\n"
                "r.yaml:7:45: entry 2 of `any_keyword` is read as the number 42; put it in quotes if it is a text\n"
                "r.yaml:7:49: entry 3 of `any_keyword` is an empty text; write one, or take it out"
            ),
        ),
        (
            "any_keyword: [contract]",
            "metadta.tenant: a",
            "r.yaml:7:26: unknown key 'metadta.tenant' (did you mean 'metadata.tenant'?)",
        ),
        (
            "any_keyword: [contract]",
            "tenant: a",
            "a value that the caller sends is metadata.tenant; known here: in, any",
        ),
        (
            "any_keyword: [contract]",
            "metadata.tenant: {not: a}",
            "r.yaml:7:26: `metadata.tenant` is keys with values; write a text, a number, true or false, or a list of these",
        ),
        (
            "any_keyword: [contract]",
            "metadata: {tenant: }",
            "r.yaml:7:37: `tenant` is empty; write a text, a number, true or false, or a list of these",
        ),
        ("any_keyword: [contract]", "metadata.: a", "r.yaml:7:19: `metadata.` lacks the name of the value"),
        ("name: support\n", "name: 42\n", "r.yaml:2:1: `name` is read as the number 42; put it in quotes"),
        ("  small: {", "  7: {", "r.yaml:4:3: the name 7 is no text as it is written; put it in quotes"),
        ("model: s,", "model: s, api_key: sk-123,", "r.yaml:4:39: a key does not stand in a file"),
        ("model: s,", "model: s, key_env: sk-123,", "r.yaml:4:39: `key_env` names an environment variable"),
        ("model: l}", "model: l, capabilities: [tool]}", "entry 1 of `capabilities` is 'tool' (did you mean 'tools'?)"),
        ("share: 0.7", "share: 70", "r.yaml:11:18: `share` is 70; it is a share from 0 to 1, so 70 % is 0.7"),
        ("default: {mix", "default: {route: [small], mix", "`default` needs one of `route`, `mix`; it has both"),
        ("at_least: large", "at_least: large, never: [small]", "it has never and at_least: write a guard for each"),
        ("at_least: large", "only: []", "r.yaml:7:52: `only` is empty; name at least one, or take it out"),
        (
            "at_least: large",
            "regions: [ue]",
            "r.yaml:7:52: nothing runs in ue: requests that guard 'legal' holds for would all fail; regions here: none",
        ),
        (
            "rules/v1",
            "rules/v2",
            "r.yaml:1:1: this routebench reads 'routebench/rules/v1' and not 'routebench/rules/v2'",
        ),
        ("schema: routebench/rules/v1\n", "", "`schema` is missing; write it as in `schema: routebench/rules/v1`"),
        (
            "words: {gt: 20}",
            "any: [{budget_pace: {gt: 1}}]",
            "r.yaml:10:32: the pace of spending is unknown without a budget, so this never holds; add `budget:",
        ),
        (
            "default:",
            "cascade: {ok: {json: true}}\ndefault:",
            "r.yaml:11:11: no route names check 'ok': add `cascade: ok` to one, or take it out",
        ),
        (
            "default: {mix",
            "cascade: {ok: {answer: {not: {has_tools: true}}}}\ndefault: {cascade: ok, mix",
            "r.yaml:11:25: check 'ok' reads the text of an answer, which has no has_tools",
        ),
        ("route: [large]}\ndefault", "route: [large], cascade: {json: true}}\ndefault", "a route names its check"),
        (
            "default:",
            "complexity: {classifier: {kind: logistic, artifact: a.json, sha256: "
            + "1" * 64
            + "}, tiers: [{route: [small]}]}\ndefault:",
            "r.yaml:11:61: `sha256` is read as a number of 64 digits; put it in quotes",
        ),
        (
            "default:",
            "complexity: {classifier: {kind: logistic, artifact: a.json, sha256: abc}, tiers: [{route: [small]}]}\ndefault:",
            "`sha256` is no SHA-256, which has 64 digits from 0 to f; `sha256sum FILE` prints it",
        ),
        (
            "default:",
            (
                "complexity: {classifier: {kind: heuristic, weights: {digits: 1}}, tiers: [{below: 0.5, route: [small]}, "
                "{below: 0.4, route: [small]}, {route: [large]}]}\ndefault:"
            ),
            "the thresholds do not grow: 0.5, 0.4; put the tier with the lowest `below` first",
        ),
        (
            "models:\n",
            "models:\n\ttiny: {}\n",
            "r.yaml:4:1: not valid YAML: found character that cannot start any token",
        ),
        ("models:\n", "models:\n\ttiny: {}\n", "; indent with spaces, never with tabs"),
        ("regex: 'a table'", 'regex: "\\d"', "; put patterns in single quotes, in which a backslash is itself"),
        ("at_least: large}", "at_least: large", "; close the bracket before it"),
        ("name: support\n", "name support\n", "; a key is followed by a colon and a space"),
        ("name: support\n", "name: support\n...\n---\n", "; a file is one rule set"),
    ],
)
def test_every_mistake_is_named_with_its_place_and_mend(old: str, new: str, words: str) -> None:
    assert words in broken((old, new))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.yaml:1:1: the file is empty; it begins with `schema: routebench/rules/v1`"),
        (
            "{}",
            (
                "r.yaml:1:1: `schema` is missing; write it as in `schema: routebench/rules/v1`\n"
                "r.yaml:1:1: `name` is missing; write it as in `name: support-bot`\n"
                "r.yaml:1:1: `models` is missing;"
            ),
        ),
        ("- a", "r.yaml:1:1: the file is a list, and a rule set is keys; it begins with `schema: routebench/rules/v1`"),
        ("hello", "r.yaml:1:1: the file is the text 'hello', and a rule set is keys"),
        (TEXT + "#" * 5_000_000, "r.yaml: 5000554 characters is too long"),
    ],
)
def test_what_is_no_rule_set_at_all(text: str, words: str) -> None:
    with pytest.raises(RulesError) as caught:
        RuleSet.parse(text, name="r.yaml")
    assert words in str(caught.value)


def test_ends_of_lines_and_a_byte_order_mark_make_no_difference() -> None:
    for text in (TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT):
        assert RuleSet.parse(text) == RuleSet.parse(TEXT)


def test_a_key_that_stands_in_a_file_is_not_repeated() -> None:
    assert "sk-123" not in broken(("model: s,", "model: s, key_env: sk-123,"))
    assert "sk-123" not in broken(("model: s,", "model: s, api_key: sk-123,"))


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
