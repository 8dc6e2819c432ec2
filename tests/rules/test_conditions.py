from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import RulesError
from routebench.rules.conditions.condition import Condition
from routebench.rules.conditions.lineup import Lineup
from routebench.rules.conditions.patterns import Patterns
from routebench.rules.conditions.when import WhenSettings
from routebench.rules.reading.request import Reading, Scope, Situation
from routebench.types import Request

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCOPES: tuple[Scope, ...] = ("user", "system", "history", "conversation", "any")


def matches(when: dict[str, Any], text: str) -> bool:
    return Condition.parse(when).matches(Request(({"role": "user", "content": text},)))


@pytest.mark.parametrize(
    ("when", "text", "expected"),
    [
        ({"any_keyword": ["contract"]}, "A Contract.", True),
        ({"any_keyword": ["contract"]}, "contracts", False),
        ({"any_keyword": ["straße"]}, "STRASSE", True),
        ({"any_keyword": ["stand for"]}, "what does it stand for?", True),
        ({"any_keyword": ["c++"]}, "write c++ code", True),
        ({"all_keywords": ["a", "b"]}, "a c", False),
        ({"all_keywords": ["a", "b c"]}, "b c a", True),
        ({"regex": r"(?i)\bJSON\b"}, "as json", True),
        ({"words": {"gt": 2}}, "one two", False),
        ({"words": {"ge": 2, "lt": 3}}, "one two", True),
        ({"characters": {"le": 3}}, "abc", True),
        ({"characters": {"gt": 3}}, "abc", False),
        ({"input_tokens": {"le": 1}}, "four", True),
        ({"input_tokens": {"le": 1}}, "fives", False),
        ({"digits": {"gt": 0.4}}, "1234 x", True),
        ({"has_code": True}, "```py\nx\n```", True),
        ({"is_question": True}, "why? ", True),
        ({"language": "de"}, "Was ist die Hauptstadt und wie ist das Wetter?", True),
        ({"language": ["ja"]}, "これは何ですか", True),
        ({"not": {"is_question": True}}, "why?", False),
        ({"any": [{"regex": "x"}, {"regex": "y"}]}, "y", True),
        ({"all": [{"regex": "x"}, {"regex": "y"}]}, "y", False),
    ],
)
def test_conditions(when: dict[str, Any], text: str, expected: bool) -> None:
    assert matches(when, text) is expected


@pytest.mark.parametrize(
    ("keyword", "text", "expected"),
    [
        ("café", "un cafe\u0301 noir", True),
        ("cafe\u0301", "un café noir", True),
        ("café", "un cafe noir", False),
        ("cafe", "un cafe\u0301 noir", False),
        ("contract", "ｃｏｎｔｒａｃｔ", True),
        ("ｃｏｎｔｒａｃｔ", "contract", True),
        ("contract", "con\u00adtract", True),
        ("contract", "c\u200do\u200bn\u2060t\ufeffract", True),
        ("con\u00adtract", "contract", True),
        ("contract", "\u202econtract\u202c", True),
        ("contract", "contra\ufe0fct", True),
        ("合同", "请审查合同条款", True),
        ("合同", "请审查条款", False),
        ("合 同", "请审查合同条款", False),
        ("contract", "请审查contract条款", True),
        ("contract", "请审查contracts条款", False),
        ("iphone手机", "买iphone手机吗", True),
        ("iphone手机", "买xiphone手机吗", False),
        ("契約", "この契約書", True),
        ("けいやく", "このけいやくしょ", True),
        ("สัญญา", "ตรวจสอบสัญญานี้", True),
        ("ສັນຍາ", "ກວດສັນຍານີ້", True),
        ("계약", "이 계약 확인", True),
        ("계약", "계약서", False),
        ("हिन्दी", "यह हिन्दी है", True),
        ("हिन्द", "यह हिन्दी है", False),
        ("عقد", "هذا عَقْد", False),
        ("عَقْد", "هذا عَقْد.", True),
        ("договор", "ДОГОВОР", True),
        ("istanbul", "İSTANBUL", True),
        ("İstanbul", "istanbul", True),
        ("straße", "Strasse", True),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
        ("😀", "ok😀ok", True),
        ("😀", "ok", False),
        ("a", "\ud800 a \udfff", True),
        ("stand for", "stand\n\t  for", True),
        ("stand for", "stand\u00a0for", True),
        ("stand   for", "stand for", True),
        ("stand for", "standing for", False),
        ("stand for", "understand for", False),
        ("stand for", "stand form", False),
        ("stand for", "understand for, stand for", True),
        ("don't", "I don’t", True),
        ("don’t", "I don't", True),
        ("well-known", "a well‐known fact", True),
        ("known", "well-known", True),
        ("known", "well_known", False),
        ("c++", "c+++", True),
        ("c++", "objc++", False),
        (".net", "asp.net", True),
        (" legal ", "legal", True),
        ("fi", "ﬁ", True),
    ],
)
def test_keywords_in_every_form_of_unicode(keyword: str, text: str, expected: bool) -> None:
    assert matches({"any_keyword": [keyword]}, text) is expected
    assert matches({"all_keywords": [keyword]}, text) is expected


@given(st.text(max_size=30), st.text(max_size=8))
def test_a_keyword_by_itself_is_always_found(text: str, keyword: str) -> None:
    try:
        condition = Condition.parse({"any_keyword": [keyword]})
    except RulesError:
        return
    assert condition.matches(Request(({"role": "user", "content": f"{keyword}"},)))
    assert condition.matches(Request(({"role": "user", "content": f"{text}\n{keyword}\n{text}"},)))


CONVERSATION = Request(
    (
        {"role": "system", "content": "sysword"},
        {"role": "developer", "content": [{"type": "text", "text": "devword"}]},
        {"role": "user", "content": "oldword"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "1",
                    "function": {"name": "callword", "arguments": '{"query": "argword", "x": "\\u5408\\u540c"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "resultword"},
        {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "nestedword"}]}]},
        {"role": "assistant", "content": "saidword", "function_call": {"name": "legacyword", "arguments": "{}"}},
        {"role": "user", "content": "newword"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "late", "arguments": {"key": "latearg"}}}]},
        {"role": "tool", "content": "lateword"},
    )
)
WORDS: dict[Scope, set[str]] = {
    "user": {"newword"},
    "system": {"sysword", "devword"},
    "history": {
        *("oldword", "callword", "argword", "合同", "resultword", "nestedword", "saidword", "legacyword"),
        *("latearg", "lateword"),
    },
}
WORDS["conversation"] = WORDS["history"] | WORDS["user"]
WORDS["any"] = WORDS["conversation"] | WORDS["system"]


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_reads_its_messages_with_calls_and_results_of_tools(scope: Scope) -> None:
    for word in WORDS["any"]:
        expected = word in WORDS[scope]
        for when in (
            {"any_keyword": [word]},
            {"all_keywords": [word]},
            {"regex": word},
            {"any": [{"regex": word}]},
            {"not": {"not": {"any_keyword": [word]}}},
        ):
            assert Condition.parse(when, scope).matches(CONVERSATION) is expected, (when, scope)
            assert Condition.parse({**when, "in": scope}).matches(CONVERSATION) is expected, (when, scope)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"language": "de"}, "wie ist das und was ist die"),
        ({"characters": {"gt": 400}}, "x" * 401),
        ({"words": {"ge": 90}}, "x " * 90),
        ({"digits": {"gt": 0.5}}, "1" * 700),
        ({"has_code": True}, "x = 1;\n"),
        ({"is_question": True}, "so?"),
    ],
)
@pytest.mark.parametrize("scope", SCOPES)
def test_each_text_key_reads_its_scope(when: dict[str, Any], text: str, scope: Scope) -> None:
    messages = [dict(message) for message in CONVERSATION.messages]
    assert not Condition.parse(when, scope).matches(Request(tuple(messages)))
    place = {"user": 7, "system": 1, "history": 9, "conversation": 9, "any": 9}[scope]
    for changed, expected in ((place, True), (0 if scope in ("user", "history", "conversation") else None, False)):
        if changed is not None:
            other = [*messages[:changed], {**messages[changed], "content": text}, *messages[changed + 1 :]]
            assert Condition.parse(when, scope).matches(Request(tuple(other))) is expected, (changed, scope)


@pytest.mark.parametrize("scope", SCOPES)
def test_keys_of_the_whole_request_do_not_depend_on_the_scope(scope: Scope) -> None:
    request = Request(
        ({"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {}}]},),
        tools=({"type": "function"},),
        response_format={"type": "json_schema"},
        metadata={"plan": "free", "level": 3},
        tags=("legal",),
    )
    for when in (
        {"tag": "legal"},
        {"tag": ["x", "legal"]},
        {"has_tools": True},
        {"has_images": True},
        {"has_unread": True},
        {"json_schema": True},
        {"metadata.plan": "free"},
        {"metadata.level": [3, 4]},
        {"turns": {"le": 1}},
        {"input_tokens": {"lt": 2}},
    ):
        assert Condition.parse(when, scope).matches(request), when
        assert not Condition.parse({"not": when}, scope).matches(request), when
        assert not Condition.parse(when, scope).matches(CONVERSATION) or "turns" in when, when
    assert not Condition.parse({"metadata.plan": ["pro"]}, scope).matches(request)


@pytest.mark.parametrize(
    ("content", "unread", "images"),
    [
        ("hi", False, False),
        (None, False, False),
        ([{"type": "text", "text": "hi"}], False, False),
        ([{"type": "input_image", "image_url": "x"}], True, True),
        ([{"type": "input_audio", "input_audio": {}}], True, False),
        ([{"type": "file", "file": {}}], True, False),
        ([{"type": "text", "text": 3}], True, False),
        ([{"type": "novelty", "text": "hi"}], True, False),
        ([{"type": "tool_result", "content": "ok"}], False, False),
        ([{"type": "tool_result"}], False, False),
        ([{"type": "tool_result", "content": [{"type": "image", "source": {}}]}], True, True),
        ([{"type": "tool_use", "name": "f", "input": {"a": 1}}], False, False),
        (7, True, False),
        ([None], True, False),
        ({"type": "text", "text": "hi"}, False, False),
    ],
)
def test_what_cannot_be_read_is_noticed(content: Any, unread: bool, images: bool) -> None:
    reading = Reading(Request(({"role": "user", "content": content},)))
    assert (reading.has_unread, reading.has_images) == (unread, images)


def test_time_and_pace_of_the_budget() -> None:
    reading = Reading(Request(({"role": "user", "content": "x"},)), Situation(NOON, 1.5))
    for when in ({"time": {"after": "08:00"}}, {"budget_pace": {"gt": 1.0}}, {"time": {"days": ["mon"]}}):
        assert Condition.parse(when).matches(reading), when
        assert not Condition.parse({"not": when}).matches(reading), when
    assert not Condition.parse({"time": {"after": "08:00", "timezone": "America/New_York"}}).matches(
        reading.within(Situation(datetime(2026, 6, 1, 11, 59, tzinfo=UTC)))
    )
    with pytest.raises(ValueError, match="has no time zone"):
        Situation(datetime(2026, 6, 1))  # noqa: DTZ001 - that is what is wrong


@pytest.mark.parametrize("unknown", [{"time": {"after": "08:00"}}, {"budget_pace": {"gt": 1.0}}])
def test_what_is_not_known_is_neither_true_nor_false(unknown: dict[str, Any]) -> None:
    reading = Reading(Request(({"role": "user", "content": "x"},)))
    true, false = {"regex": "x"}, {"regex": "y"}
    for when, expected in (
        (unknown, None),
        ({"not": unknown}, None),
        ({"not": {"not": unknown}}, None),
        ({"all": [unknown, true]}, None),
        ({"all": [unknown, false]}, False),
        ({**unknown, **false}, False),
        ({**unknown, **true}, None),
        ({"any": [unknown, true]}, True),
        ({"any": [unknown, false]}, None),
        ({"not": {"any": [unknown, true]}}, False),
        ({"not": {"all": [unknown, false]}}, True),
        ({"not": {"any": [unknown, false]}}, None),
    ):
        condition = Condition.parse(when)
        assert condition.holds(reading) is expected, when
        assert condition.matches(reading) is (expected is True), when


def test_a_reading_within_another_situation_shares_what_was_computed() -> None:
    reading = Reading(CONVERSATION)
    text = reading.text("any")
    other = reading.within(Situation(NOON, 2.0))
    assert other.text("any") is text
    assert other.request is reading.request
    assert other.situation.at == NOON
    assert reading.situation.at is None
    assert other.text("user") is reading.text("user")


def test_a_message_alone_is_read_once_for_all_scopes() -> None:
    reading = Reading(Request(({"role": "user", "content": "x"},)))
    assert reading.text("conversation") is reading.text("user")
    assert reading.text("any") is reading.text("user")
    assert reading.text("history").text == ""
    assert reading.text("system").text == ""


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["text", "user"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "input", "name", "function", "arguments", "audio"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
messages = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "function_call", "refusal", "audio"]), anything, max_size=4
)
EVERYTHING = {
    "any": [
        {"any_keyword": ["合同", "never there", "x"]},
        {"all_keywords": ["y", "z z"]},
        {"regex": "(a|b)*c$"},
        {"language": ["de", "zh"]},
        {"digits": {"gt": 2}},
        {"words": {"gt": 10**9}},
        {"characters": {"gt": 10**9}},
        {"input_tokens": {"gt": 10**9}},
        {"turns": {"gt": 10**9}},
        {"all": [{"has_code": True}, {"is_question": True}, {"has_images": True}, {"has_unread": True}]},
    ]
}


@given(st.lists(messages, max_size=4), anything)
def test_no_message_of_any_shape_raises(found: list[dict[str, Any]], wanted: Any) -> None:
    request = Request(tuple(found), response_format=wanted)
    for scope in SCOPES:
        condition = Condition.build(WhenSettings.model_validate(EVERYTHING), scope)
        assert condition.matches(request) in (True, False)
    assert dict(Reading(request).features())


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    matches(EVERYTHING, text)


@pytest.mark.parametrize(
    "piece",
    ["\n", " ", "a ", "a", "é", "e\u0301", "\u0301\u0316", "\uff9e\u0301", "\u0301\u200d\u0316\u200d", "合", "ส\u0e31", "\u200b", "\ud800", ";\n ", "def", "from x ", "1", "٣", "İ", "?", "c+", "'", "\u2019"],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_no_longer_than_its_length(piece: str) -> None:
    # What grows with the square of the length takes minutes here.
    text = piece * (2**20 // len(piece))
    assert matches(EVERYTHING, text) in (True, False)
    assert Reading(Request(({"role": "user", "content": text},))).features()["characters"] == len(text)


def test_deeply_nested_content_and_arguments_are_read() -> None:
    content: Any = "deepword"
    arguments = '"\\u0064eepest"'
    for _ in range(50_000):
        content = [{"type": "tool_result", "content": content}]
    request = Request(({"role": "user", "content": content},))
    assert Condition.parse({"any_keyword": ["deepword"]}).matches(request)
    for depth in (10, 100_000):
        nested = "[" * depth + arguments + "]" * depth
        call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": nested}}]}
        found = Condition.parse({"any_keyword": ["deepest"]}, "any").matches(Request((call,)))
        # What is too deep for a parser is read as it was written.
        assert found is (depth == 10)


WHENS: list[dict[str, Any]] = [
    {"regex": "a"},
    {"regex": "ab", "in": "any"},
    {"any_keyword": ["ab", "合"]},
    {"any_keyword": ["ab", "ba"]},
    {"all_keywords": ["a", "b"], "in": "conversation"},
    {"all_keywords": ["a b"]},
    {"words": {"gt": 2}},
    {"any": [{"regex": "b"}, {"any_keyword": ["a"]}]},
    {"any": [{"regex": "b"}, {"is_question": True}]},
    {"all": [{"words": {"gt": 1}}, {"regex": "b a"}]},
    {"not": {"regex": "a"}},
    {"time": {"after": "08:00"}, "regex": "b"},
    {},
]


@given(
    st.lists(st.sampled_from(WHENS), max_size=8),
    st.lists(st.tuples(st.sampled_from(["user", "system", "assistant"]), st.text("ab ?合", max_size=12)), max_size=3),
)
def test_a_lineup_finds_what_asking_each_one_finds(whens: list[dict[str, Any]], said: list[tuple[str, str]]) -> None:
    patterns = Patterns()
    conditions = [Condition.build(WhenSettings.model_validate(when), "user", patterns) for when in whens]
    reading = Reading(Request(tuple({"role": role, "content": text} for role, text in said)), Situation(NOON))
    expected = [place for place, when in enumerate(whens) if Condition.parse(when).matches(reading)]
    assert list(Lineup(conditions).matching(reading)) == expected


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"regex": "(?=a)"}, "regex: regex '(?=a)'"),
        ({"any": [{"regex": "x"}, {"not": {"regex": "("}}]}, "any.1.not.regex: regex '('"),
        ({"language": ["de", "dee"]}, "language: no language 'dee' (did you mean 'de'?)"),
        ({"any_keyword": ["ok", "\u200b"]}, "any_keyword.1: keyword '\\u200b' has no character"),
        ({"any_keyword": []}, "any_keyword: "),
        ({"time": {}}, "time: `time` needs one of"),
        ({"time": {"after": 480}}, "time.after: a time of day stands in quotes"),
        ({"time": {"after": "8:00"}}, "time.after: '8:00' is no time of day"),
        ({"time": {"before": "24:00"}}, "time.before: '24:00' is no time of day"),
        ({"time": {"after": "08:00", "before": "08:00"}}, "time: `after` and `before` are both 08:00"),
        ({"time": {"before": "00:00"}}, "time: no time of day is before 00:00"),
        ({"time": {"days": ["monday"]}}, "time.days.0: "),
        ({"time": {"after": "08:00", "timezone": "Mars/Base"}}, "time.timezone: no time zone 'Mars/Base'; write one"),
        ({"time": {"after": "08:00", "timezone": "../etc"}}, "time.timezone: no time zone"),
        ({"budget_pace": {}}, "budget_pace: a range needs a bound"),
    ],
)
def test_mistakes_say_where_and_how_to_mend_them(when: dict[str, Any], words: str) -> None:
    with pytest.raises(RulesError) as caught:
        Condition.parse(when)
    assert words in str(caught.value)


def test_conditions_say_what_they_ask_for() -> None:
    when = {
        "any_keyword": ["a", "b"],
        "budget_pace": {"gt": 1},
        "time": {"after": "08:00", "days": ["mon"]},
        "not": {"has_unread": True, "regex": "x"},
        "in": "any",
    }
    assert str(Condition.parse(when)) == (
        "any keyword of a, b in any and budget_pace > 1 and time after 08:00 on mon UTC and "
        "not (pattern x in any and has_unread)"
    )
    assert str(Condition.parse({})) == "always"


def test_of_several_values_one_suffices_and_inside_a_not_all_are_needed() -> None:
    def holds(when: dict[str, Any], value: Any) -> bool:
        return Condition.parse(when).matches(Request((), metadata={"class": value}))

    one, none = {"metadata.class": ["eu", "ch"]}, {"not": {"metadata.class": ["public", "us"]}}
    assert [holds(one, value) for value in ("eu", ["eu"], ("us", "ch"), {"us"}, [], None, {"eu": 1}, [["eu"]])] == [
        True, True, True, False, False, False, False, False,
    ]  # fmt: skip
    assert [holds(none, value) for value in ("us", ["us", "public"], ["us", "eu"], [], None)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert holds({"not": {"not": {"any": [one]}}}, ["eu", "us"])
