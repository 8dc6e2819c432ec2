"""Phone numbers in texts, by the forms in which countries write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from routebench.redact.spans import AFTER_ESCAPE, GAP, Span, digits_of

PHONE = "phone"

_SEP = rf"[{GAP}./]"
_DASH = rf"[{GAP}]"
_NEXT = rf"(?:{_SEP}{{0,3}}(?:\d|\(\d{{1,5}}\)))"
_WORD = r"[\dA-Za-z_\u00aa-\u024f]"
"""Of scripts that put spaces between words: a number may follow a letter of others."""
# A plus or two zeros, an area code in parentheses or after a zero, the groups of North America, Russia and China.
_FORMS = re.compile(
    rf"""
    (?P<plus> (?:(?<!{_WORD})(?<!\+)(?<!\d[ ])|{AFTER_ESCAPE}) [+\uff0b](?!0)\d{_NEXT}{{5,14}} (?!\d) )
  | (?:(?<!{_WORD})(?<!\+)(?<!\d[,./:])(?<![0-9a-fA-F]-)|{AFTER_ESCAPE}) (?:
        00[1-9]{_NEXT}{{5,14}}
      | (?:[178]{_DASH}?)?\(\d{{2,5}}\)(?:{_SEP}{{0,2}}\d){{5,10}}
      | 0\d{{0,5}}(?:[{GAP}/]{{1,3}}\d{{1,9}}){{1,5}}
      | 0\d(?:\.\d\d){{4}}
      | 0[1-9]\d{{8,9}}
      | (?:1[{GAP}.])?\d{{3}}(?P<by>[{GAP}.])\d{{3}}(?P=by)\d{{4}}
      | 8{_DASH}\d{{3}}{_DASH}\d{{3}}{_DASH}\d\d{_DASH}\d\d
      | 1[3-9]\d{_DASH}\d{{4}}{_DASH}\d{{4}}
    ) (?!{_WORD}|-[0-9a-fA-F]|\.\d)
    """,
    re.VERBOSE,
)
# Numbers without any of those marks are phone numbers where a word says so.
_AFTER_WORD = re.compile(
    rf"""
    (?:(?<![^\W_])(?:tel|telefono?|tel[eé]fono|t[eé]l[eé]phone|telephone|phone|mobile|mobil|m[oó]vil|celular|cellulare
        |handy|fax|whatsapp|sms|dial|call(?=[ ](?:me|us|him|her|them|at|on)\b))\b
      |电话|手机|電話|携帯|전화)
    (?:[^\w\n+(]{{1,3}}(?:me|us|him|her|them|at|on|is|number|no|nr|n[uú]mero|nummer|under|unter)\b){{0,3}}
    [^\w\n+(]{{0,4}}
    (?P<number>(?=[\d(]){_NEXT}{{5,15}})(?![\d:]|\.\d)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"""
      \d{1,2}([/. -])\d{1,2}\1(?:19|20)\d\d(?!\d)        # a date
    | \d{4}([/.-])\d{1,2}\2\d{1,2}(?!\d)
    | [012]\d[0-5]\d[ ]?[-\u2013][ ]?[012]\d[0-5]\d$      # from one time of day to another
    | \+1[0-4][03]0[ ](?:19|20)\d\d$                      # a time zone before a year
    | \+?\d{1,3}(?:\.\d{3}){2}$                          # an amount
    | \+\d+\.\d{1,8}$
    | [01]\d{2}[ ]\d{3}[ ]\d{4}$                          # three numbers
    """,
    re.VERBOSE,
)
_OF_SOMETHING_ELSE = re.compile(
    # Whole words: a name such as Ingrid ends in one of them.
    r"(?<![^\W_])(?:isbn(?:-?1[03])?|order|invoice|ticket|case|ref|reference|serial|sku|part|id|[#№])"
    r"(?:[ ]?(?:number|no|nr|id))?[^\w(+]{0,3}$",
    re.IGNORECASE,
)
_LEAST, _MOST = 7, 15
_LEAST_ABROAD = 12
"""Digits of a number in one piece after two zeros: shorter ones are filled up with zeros."""
_BEFORE = 24


def find_phones(text: str) -> Iterator[Span]:
    """Yields where phone numbers stand; one place may be told twice."""
    for match in _FORMS.finditer(text):
        if _is_phone(match[0]) and (
            match["plus"] or _OF_SOMETHING_ELSE.search(text[max(0, match.start() - _BEFORE) : match.start()]) is None
        ):
            yield PHONE, match.start(), match.end()
    for match in _AFTER_WORD.finditer(text):
        if _is_phone(match["number"]):
            yield PHONE, *match.span("number")


def _is_phone(text: str) -> bool:
    n_digits = len(digits_of(text))
    least = _LEAST_ABROAD if text.startswith("00") and text.isdecimal() else _LEAST
    return least <= n_digits <= _MOST + 2 * text.startswith("00") and _OTHERWISE.match(text) is None
