from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from routebench.cli import main
from routebench.rules import Default, Guard, Router, Rule, RuleSet, check_golden, make_golden
from routebench.rules.counterfactuals import removed
from routebench.types import Request
from tests.conftest import make_model

MODELS = {name: make_model(name) for name in ("small", "large")}
TAGS = '{"messages": [{"role": "user", "content": "hi"}], "tags": "minor"}'
EVERYTHING = Path(__file__).parent / "v1" / "everything.yaml"


def explained(text: str, **fields: Any) -> tuple[str, ...]:
    ruleset = RuleSet("t", MODELS, **{"default": Default(route=("small", "large")), **fields})
    return Router(ruleset).explain([{"role": "user", "content": text}]).counterfactuals


LEGAL = Guard("legal", {"any_keyword": ["contract", "lease"]}, at_least="large")


def test_a_guard_and_the_word_that_it_found() -> None:
    assert explained("A Contract, please", guards=(LEGAL,)) == (
        "without guard legal: small > large by default",
        "without 'contract': small > large by default",
    )
    # Either word suffices, so neither alone decides.
    assert explained("contract and lease", guards=(LEGAL,)) == ("without guard legal: small > large by default",)


def test_a_rule_its_words_and_what_nearly_fired() -> None:
    rules = (
        Rule("tables", {"all_keywords": ["table", "make"]}, ("large",)),
        Rule("long", {"words": {"gt": 20}, "is_question": True}, ("large",)),
    )
    assert explained("make a table?", rules=rules) == (
        "without rule tables: small > large by default",
        "without 'table': small > large by default",
        "without 'make': small > large by default",
        "rule long lacks only: words > 20",
    )


@pytest.mark.parametrize(
    "text",
    [
        "ＣＯＮＴＲＡＣＴ",
        "a con\u00adtract",
        "Contract, contract",
        "c\u200bontract's",
    ],
)
def test_a_word_that_was_found_only_through_its_forms_is_taken_out_too(text: str) -> None:
    assert "without 'contract': small > large by default" in explained(text, guards=(LEGAL,))


@pytest.mark.parametrize(
    ("word", "text", "rest"),
    [
        ("lease", "Please LEASE it", "Please   it"),
        ("résumé", "my re\u0301sume\u0301!", "my  !"),
        ("force  majeure", "the Force\n Majeure clause", "the   clause"),
        ("合同", "这份合同可以吗", "这份 可以吗"),
        ("fi", "ﬁ FI fin", "    fin"),
        ("ss", "Strasse ß", "Strasse  "),
        ("한", "a \u1112\u1161\u11ab", "a  "),
        ("contract", "unchanged ＴＥＸＴ", "unchanged ＴＥＸＴ"),
    ],
)
def test_what_is_left_of_a_text_without_a_word_stays_as_it_was_written(word: str, text: str, rest: str) -> None:
    (message,) = removed(word, Request(({"role": "user", "content": text},))).messages
    assert message == {"role": "user", "content": rest}


def test_a_word_is_taken_out_of_what_tools_are_called_with_and_answer() -> None:
    call = {"id": "contract", "type": "function", "function": {"name": "read", "arguments": '{"path": "contract"}'}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "contract", "content": [{"type": "text", "text": "Contract"}]}
    called, told = removed("contract", Request((asked, result))).messages
    assert called["tool_calls"] == [{**call, "function": {"name": "read", "arguments": '{"path": " "}'}}]
    assert told == {**result, "content": [{"type": "text", "text": " "}]}


def test_what_no_model_could_take() -> None:
    forbidden = Guard("none", {"any_keyword": ["x"]}, never=("small", "large"))
    open_again = Guard("free", {"any_keyword": ["y"]}, never=("small",))
    said = explained("y", guards=(open_again, forbidden))
    assert said[0] == "without guard free: small > large by default"


def test_explaining_leaves_no_trace() -> None:
    router = Router(RuleSet("t", MODELS, Default(route=("small", "large")), guards=(LEGAL,)))
    messages = [{"role": "user", "content": [{"type": "text", "text": "contract"}, {"type": "odd", "x": 1}]}]
    before = json.dumps(messages)
    assert router.explain(messages).chain == ("large",)
    assert json.dumps(messages) == before


def test_the_command_takes_whole_requests(capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        code = main(["explain", str(EVERYTHING), *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    code, out = run("--prompt", "generate a table", "--json", "--metadata", "tenant=acme")
    document = json.loads(out)
    assert (code, document["chain"], document["cascade"]) == (0, ["large"], "json")
    assert document["features"]["words"] == 3
    monkeypatch.setattr(
        "sys.stdin", io.StringIO('{"messages": [{"role": "user", "content": "hi"}], "tags": ["minor"]}')
    )
    assert run("--request", "-", "--json")[0] == 0
    assert "no model 'smal' (did you mean 'small'?)" in run("--prompt", "x", "--model", "smal")[1]
    assert "--previous: no model 'smal' (did you mean 'small'?)" in run("--prompt", "x", "--previous", "smal")[1]
    with pytest.raises(SystemExit):
        run("--prompt", "x", "--metadata", "metadata.tenant=acme")
    assert "write tenant=acme" in capsys.readouterr().err
    broken = tmp_path / "request.json"
    for text, said in (
        ("{", "not valid JSON"),
        ("[]", "a request is"),
        ('{"messages": ["x"]}', "a request is"),
        (TAGS, "`tags`"),
    ):
        broken.write_text(text)
        code, out = run("--request", str(broken))
        assert (code, said in out) == (2, True), out


def test_the_command_takes_what_a_gateway_is_sent_and_says_where_the_model_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "tools": None, "max_tokens": 100_000}
    request = tmp_path / "request.json"
    request.write_text(json.dumps(body))
    arguments = ["explain", str(EVERYTHING), "--request", str(request), "--metadata", "data_class=eu_personal"]
    assert main([*arguments, "--at", "2026-11-25T12:00"]) == 0
    # Only `local` and `large` run in the region.
    assert "guards residency hold" in capsys.readouterr().out
    assert main([*arguments, "--model", "large"]) == 0
    assert "large is asked at https://eu.example.com in region eu, with the key in EU_KEY" in capsys.readouterr().out
    assert main([*arguments, "--model", "large", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deployment"]["region"] == "eu"
    body["max_tokens"] = 300_000
    request.write_text(json.dumps(body))
    assert main([*arguments, "--model", "large"]) == 2
    assert "model 'large' may not take this request" in capsys.readouterr().err


def test_private_golden_decisions_hold_no_text_and_are_checked_where_the_request_is_at_hand() -> None:
    requests = [Request(({"role": "user", "content": f"my secret contract {number}"},)) for number in range(3)]
    ruleset = RuleSet("t", MODELS, Default(route=("small", "large")), guards=(LEGAL,))
    golden = make_golden(ruleset, requests, salt="ab12")
    written = RuleSet("t", MODELS, ruleset.default, guards=(LEGAL,), golden=golden).to_yaml()
    assert "secret" not in written
    again = RuleSet.parse(written)
    assert again.golden == golden
    assert again.golden[0].features["words"] == 4
    assert (check_golden(again).n, check_golden(again).unseen) == (3, (1, 2, 3))
    assert check_golden(again, requests).unseen == ()
    assert check_golden(again, requests).failed == ()
    loose = RuleSet.parse(written.replace("at_least: large", "at_least: small"))
    (failure, *_) = check_golden(loose, requests[1:]).failed
    assert failure.number == 2
    assert failure.prompt.startswith("private, ")


def test_a_golden_request_that_no_model_may_take_is_left_out() -> None:
    nobody = Guard("none", {"any_keyword": ["x"]}, never=("small", "large"))
    ruleset = RuleSet("t", MODELS, Default(route=("small",)), guards=(nobody,))
    asked = [Request(({"role": "user", "content": text},)) for text in ("x", "y")]
    assert [one.request for one in make_golden(ruleset, asked)] == asked[1:]
