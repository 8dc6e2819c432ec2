from __future__ import annotations

import json
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.redact import Privacy, Redactor
from routebench.types import Case, Completion, GraderSpec, Request, ToolCall

EMAILS = """\
jane@example.com
jane.doe+tag@mail.example.co.uk
o'brien@example.com
"john doe"@example.com
jane%40example.com
jane@[192.168.0.1]
почта@пример.рф
ivan@xn--e1afmkfd.xn--p1ai
mu\u0308ller@bu\u0308cher.example
उदाहरण@डाटामेल.भारत
jane＠example.com
m\\u00fcller@example.com""".split("\n")
CARDS = """\
4111111111111111
4111 1111 1111 1111
5500-0000-0000-0004
3782 822463 10005
3056 930902 5904
6011\u20111111\u20111111\u20111117
4222222222222
2223000048400011""".split("\n")
IBANS = """\
DE89 3704 0044 0532 0130 00
de89370400440532013000
NO93 8601 1117 947
GB29-NWBK-6016-1331-9268-19
MT84MALT011000012345MTLCAST001S
LC55HEMM000100010012001200023015""".split("\n")
PHONES = """\
+49 170 1234567
+49 (0) 170 / 123 45 67
+49\u2011170\u20111234567
0049 170 1234567
+1 (415) 555-2671
+1.4155552671
1-800-555-0199
415-555-2671
(11) 91234-5678
020 7946 0958
030/12345678
06 12 34 56 78
06.12.34.56.78
06 1 234 5678
03-1234-5678
0412 345 678
01701234567
8 912 345-67-89
138 1234 5678
+91 98765 43210
+86 138 0013 8000
+٤٩ ١٧٠ ١٢٣٤٥٦٧""".split("\n")
BARE_PHONES = ["612 345 678", "22 12 34 56", "98765 43210", "13812345678", "5550199"]
OTHER = """\
2026-11-25T09:30:00+01:00
2026-11-25 09:30:00.123456
25.11.2026 10:30
01/02/2026 10:30
Wed Nov 25 09:20:30 2026 +1000
Wed Nov 25 09:20:30 +1000 2026
open 0900-1700
1764062400
1764062400123
1764062400123456789
20261125093000
192.168.100.200
10.0.0.1:8080
fe80::0012:3456:7890
978-3-16-148410-0
9780306406157
ISBN 0306406152
ISBN 0-306-40615-2
550e8400-e29b-41d4-a716-446655440000
d41d8cd98f00b204e9800998ecf8427e
1.2.3-beta.4
lodash@4.17.21-beta.next
react@18.2.0
@property
12 + 3456789 = 3456801
12 +34567890
$1,234,567.89
1.234.567,89 EUR
4 111 111 111 111 111
3.1415926535897932
0.4111111111111111
+1.2345678
+100.000.000
-74.0060, +40.7128
order 1234567890
Order #0012345678
Order no. 012-345-6789
invoice 5000112637922
100 200 3000
4111111111111112""".split("\n")
AROUND = [
    ("", ""),
    ("Write to ", " today."),
    ("(", ")"),
    ("[", "]"),
    ('{"a": "', '"}'),
    ("x\\n", "\\n"),
    ("Bob,", ",12"),
    ("请联系", "谢谢" * 40),
    ("a: ", "; b"),
    ("<", ">"),
    ("**", "**"),
    ("|", "|"),
    ("“", "”"),
    ("=", "&x=1"),
]


@pytest.mark.parametrize(("before", "after"), AROUND, ids=range(len(AROUND)))
@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in {"email": EMAILS, "card": CARDS, "iban": IBANS}.items() for text in texts]
    + [("phone", text) for text in PHONES],
)
def test_every_form_is_blanked_wherever_it_stands(kind: str, text: str, before: str, after: str) -> None:
    redactor = Redactor()
    cleaned = redactor.clean(before + text + after)
    assert text not in cleaned
    # Where no space parts words, an address ends and begins where its script does.
    assert f"[{kind}]" in cleaned if kind == "email" else cleaned.endswith(f"[{kind}]{after}")
    assert redactor.found[kind] == sum(redactor.found.values()) == 1


@pytest.mark.parametrize("text", OTHER)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("It is ", "."), ('{"a": "', '"}'), ("(", ")")])
def test_other_numbers_and_signs_stay(text: str, before: str, after: str) -> None:
    assert Redactor().clean(before + text + after) == before + text + after


@pytest.mark.parametrize("text", BARE_PHONES)
def test_a_number_without_marks_is_a_phone_where_a_word_says_so(text: str) -> None:
    for before in ("Telefon: ", "my phone number is ", "Please call me at ", "WhatsApp ", "电话"):
        assert Redactor().clean(before + text) == f"{before}[phone]"
    assert Redactor().clean(f"rows: {text}") == f"rows: {text}"


def test_neighbours_hide_nothing() -> None:
    clean = Redactor().clean
    assert clean("AB12 is DE89 3704 0044 0532 0130 00 and more") == "AB12 is [iban] and more"
    assert clean("DE89370400440532013000EUR") == "[iban]EUR"
    assert clean("4111 1111 1111 1111 12/27 123") == "[card] 12/27 123"
    assert clean("4111111111111111 5500000000000004") == "[card] [card]"
    assert clean("card,4111111111111111,12/27") == "card,[card],12/27"
    assert clean("a@b.example,c@d.example") == "[email],[email]"
    assert clean("jane@example.com--urgent") == "[email]--urgent"


SURROUNDINGS = st.sampled_from(AROUND)


def luhn(digits: str) -> str:
    total = sum(int(one) * (2 - i % 2) - 9 * (int(one) * (2 - i % 2) > 9) for i, one in enumerate(reversed(digits)))
    return digits + str(-total % 10)


SCHEMES = "4:16 4:19 4:13 51:16 55:16 2221:16 2720:16 34:15 36:14 3528:16 6011:16 62:19 2202:16 8123:16 9792:16".split()


@st.composite
def cards(draw: st.DrawFn) -> str:
    start, _, digits = draw(st.sampled_from(SCHEMES)).partition(":")
    length = int(digits)
    body = draw(st.text("0123456789", min_size=length - len(start) - 1, max_size=length - len(start) - 1))
    number = luhn(start + body)
    gap = draw(st.sampled_from(["", " ", "-", "\u00a0", "\u2011"]))
    return gap.join(number[i : i + 4] for i in range(0, length, 4))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    length = draw(st.integers(15, 34))
    country = draw(st.sampled_from(["QX", "ZZ", "XW", "YT"]))
    letters = draw(st.booleans())
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letters else "0123456789"
    body = draw(st.text(signs, min_size=length - 4, max_size=length - 4))
    value = int("".join(str(int(sign, 36)) for sign in body + country + "00"))
    plain = f"{country}{98 - value % 97:02}{body}"
    gap = draw(st.sampled_from(["", " ", "-", "\u00a0"]))
    return gap.join(plain[i : i + 4] for i in range(0, length, 4))


@given(cards(), SURROUNDINGS)
def test_valid_cards_are_blanked(card: str, around: tuple[str, str]) -> None:
    cleaned = Redactor().clean(around[0] + card + around[1])
    assert card not in cleaned
    assert sum(sign.isdigit() for sign in cleaned) <= sum(sign.isdigit() for sign in "".join(around))


@given(ibans(), SURROUNDINGS)
def test_valid_ibans_of_all_lengths_are_blanked(iban: str, around: tuple[str, str]) -> None:
    assert Redactor().clean(around[0] + iban + around[1]) == f"{around[0]}[iban]{around[1]}"


@given(
    st.sampled_from(
        ["1", "33", "34", "39", "44", "48", "49", "55", "61", "81", "86", "91", "234", "351", "420", "971"]
    ),
    st.text("0123456789", min_size=8, max_size=11),
    st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011"]),
    st.sampled_from([2, 3, 4]),
    SURROUNDINGS,
)
def test_international_phones_are_blanked(
    country: str, number: str, gap: str, size: int, around: tuple[str, str]
) -> None:
    groups = [number[i : i + size] for i in range(0, len(number), size)]
    phone = f"+{country}{gap or ' '}{gap.join(groups)}"
    cleaned = Redactor().clean(around[0] + phone + around[1])
    assert cleaned == f"{around[0]}[phone]{around[1]}"


LETTERS = st.text(st.characters(categories=("Lu", "Ll", "Lo", "Nd")), min_size=1, max_size=12)


@given(LETTERS, LETTERS, st.sampled_from(["com", "co.uk", "рф", "museum", "xn--p1ai"]), SURROUNDINGS)
def test_addresses_of_every_script_are_blanked(local: str, host: str, top: str, around: tuple[str, str]) -> None:
    address = f"{local}@x{host}.{top}"
    cleaned = Redactor().clean(around[0] + address + around[1])
    assert "@" not in cleaned
    assert "[email]" in cleaned


@given(st.emails())
def test_addresses_of_the_standard_are_never_left_whole(address: str) -> None:
    assert "%40" in address or address not in Redactor().clean(f"to: {address}.")


@given(st.uuids(version=4), st.datetimes(), st.ip_addresses(), st.integers(0, 10**9), st.decimals(0, 10**7, places=2))
@settings(max_examples=300)
def test_ids_times_addresses_and_amounts_stay(key: uuid.UUID, when: object, ip: object, n: int, price: object) -> None:
    for text in (f"{key}", f"{key.hex}", f"at {when}", f"{ip}", f"n = {n}", f"{n:,}", f"${price}", f"v{n}.{n}.{n}"):
        assert Redactor().clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "1" * 1_000_000,
        "1 " * 500_000,
        "4111 " * 200_000,
        "a@" * 500_000,
        "a." * 500_000,
        "a@b." * 250_000,
        "a@" + "b." * 500_000,
        "a'" * 500_000,
        '"' * 1_000_000,
        "+1" * 500_000,
        "+" * 1_000_000,
        "(0" * 500_000,
        "0 " * 500_000,
        "00 1" * 250_000,
        "AB12" * 250_000,
        "AB12 " * 200_000,
        "\\u0041" * 160_000,
        "\\" * 1_000_000,
        "tel " * 250_000,
        "tel: me " * 125_000,
        "order no " * 110_000,
        "%" * 1_000_000,
        "1-" * 500_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    began = time.process_time()
    Redactor().clean(text)
    assert time.process_time() - began < 8


def names(text: str) -> str:
    return text.replace("Zoë Quist", "[name]")


def test_calls_of_tools_stay_json_and_keep_no_name_behind_an_escape() -> None:
    arguments = json.dumps({"to": "\nzoe@example.com", "who": {"Zoë Quist": "Zoë Quist"}, "n": 4111111111111111})
    kept = Privacy("redacted", Redactor(names)).of_completion(
        Completion("ok", text=arguments, tool_calls=(ToolCall("1", "send", arguments),), reasoning="Zoë Quist")
    )
    assert json.loads(kept.tool_calls[0].arguments) == {"to": "\n[email]", "who": {"[name]": "[name]"}, "n": "[card]"}
    assert "Quist" not in (kept.text or "")
    assert kept.reasoning == "[name]"


def test_a_text_without_personal_data_is_left_to_the_letter() -> None:
    text = 'print("\\u00fc")\r\n\t\\u4111 {}'
    assert Redactor(names).clean(text) == text


def test_what_is_kept_of_a_grader_is_its_kind_and_the_same_key() -> None:
    case = Case("c", Request(messages=()), grader=GraderSpec("judge", {"rubric": "Is Zoë Quist greeted?", "votes": 3}))
    redacted = Privacy("redacted", Redactor(names)).of_case(case).grader
    assert redacted.options == {"rubric": "Is [name] greeted?", "votes": 3}
    nothing = Privacy("none").of_case(case).grader
    assert nothing.options == {}
    assert case.grader.key == redacted.key == nothing.key
