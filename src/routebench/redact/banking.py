"""Cards and IBANs in texts, told from other long numbers by their check digits, first digits and lengths."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from routebench.redact.spans import AFTER_ESCAPE, GAP, Span, digits_of

CARD, IBAN = "card", "iban"

_RUN = re.compile(rf"\d+(?:[{GAP}.]\d+)*")
_GROUP = re.compile(r"\d+")
_LEAST_CARD, _MOST_CARD = 13, 19
_MOST_PHONE = 15
_TOKEN = 40
_CARD_LAYOUTS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (6, 13), (8, 8))
_BEGINNINGS = {layout[:length] for layout in _CARD_LAYOUTS for length in range(1, len(layout) + 1)}
# ISO/IEC 7812: first digits, and the lengths that go with them; other numbers are numbers of something else.
_SCHEMES = re.compile(
    r"4(?:\d{12}|\d{15}|\d{17,18})|3[47]\d{13}|3[0689]\d{12,17}|35\d{14,17}|[56]\d{12,18}|220[0-5]\d{12,15}"
    r"|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|(?:8[12]\d\d|9792)\d{12,15}"
)
_IBAN_START = re.compile(rf"(?:(?<![0-9A-Za-z])|(?<=IBAN)|{AFTER_ESCAPE})[A-Za-z]{{2}}[0-9]{{2}}(?![0-9]{{0,8}}[.,:])")
_IBAN_REST = re.compile(rf"(?:[{GAP}.]?[0-9A-Za-z]){{11,30}}")
_HEX = re.compile("[0-9A-Fa-f]+")
_LEAST_IBAN = 15
_VALUES = {sign: int(sign, 36) for sign in string.digits + string.ascii_letters}
_ALNUM, _LONGER = re.compile("[0-9A-Za-z]"), re.compile("[0-9a-z]")
# ISO 13616, and countries that use its form without being in its register.
_IBAN_LENGTHS = {
    name: length
    for length, names in {
        15: "NO",
        16: "BE BI",
        18: "DK FO FI GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "HR LV LI CH",
        22: "BH BG CR GE DE IE ME RS GB VA",
        23: "GI IQ IL TL AE OM SO",
        24: "AD CZ MD PK RO SA SK ES SE TN VG",
        25: "PT ST AO CV MZ LY",
        26: "IS TR DZ IR",
        27: "FR GR IT MC MR SM BF CF CG CM DJ GA GQ KM MG TD BI",
        28: "AL AZ CY DO GT HU LB PL SV SN HN MA ML NE NI TG BJ CI",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for name in names.split()
}


def find_cards(text: str) -> Iterator[Span]:
    """Yields where card numbers stand, from left to right."""
    for run in _RUN.finditer(text):
        # Every digit may be one of two characters, a digit and what parts it from the next.
        if run.end() - run.start() < _LEAST_CARD:
            continue
        groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
        first = 0
        while first < len(groups):
            last = _card_end(text, groups, first)
            if last is None:
                first += 1
            else:
                yield CARD, groups[first][0], groups[last][1]
                first = last + 1


def _card_end(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of a card that begins with a group; None where none does."""
    # A card may stand in a longer row of numbers, but then in one of the layouts of cards.
    is_short = len(groups) <= _MOST_CARD
    sizes: tuple[int, ...] = ()
    found = None
    for last in range(first, len(groups)):
        sizes = (*sizes, groups[last][1] - groups[last][0])
        n_digits = sum(sizes)
        if n_digits > _MOST_CARD or not (is_short or len(sizes) == 1 or sizes in _BEGINNINGS):
            break
        whole = first == 0 and last == len(groups) - 1
        if n_digits >= _LEAST_CARD and (whole or len(sizes) == 1 or sizes in _CARD_LAYOUTS):
            start, end = groups[first][0], groups[last][1]
            if not _is_amount(text, start, end, sizes) and is_card(text[start:end]) and _is_alone(text, start, end):
                found = last
                # A number in one piece is the card, and what follows is its date or code.
                if len(sizes) == 1:
                    break
    return found


def _is_amount(text: str, start: int, end: int, sizes: tuple[int, ...]) -> bool:
    """Whether digits are an amount, a fraction or a version."""
    if len(sizes) == 1:
        fraction = re.search(r"\d\.$", text[max(0, start - 2) : start]) or re.match(r"\.\d", text[end : end + 2])
        return fraction is not None
    if "." in text[start:end]:
        return sizes not in _CARD_LAYOUTS or sizes[0] != 4
    return len(sizes) > 2 and set(sizes[1:]) == {3}


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether digits are no phone number and no part of an id in hexadecimal digits."""
    if text[start - 1 : start] == "+" and len(digits_of(text[start:end])) <= _MOST_PHONE:
        return False
    before = re.search(r"[0-9A-Za-z]*$", text[max(0, start - _TOKEN) : start], re.ASCII)
    after = re.match(r"[0-9A-Za-z]*", text[end : end + _TOKEN], re.ASCII)
    around = (before[0] if before else "") + (after[0] if after else "")
    return not around or _HEX.fullmatch(around) is None or bool(re.search(rf"{AFTER_ESCAPE}$", text[:start][-8:]))


def is_card(text: str) -> bool:
    """Whether digits are those of a card: a scheme's first digits and length, and Luhn's check."""
    digits = digits_of(text)
    if _SCHEMES.fullmatch("".join(map(str, digits))) is None:
        return False
    # A 13-digit barcode that begins like a card is far more common than a card of that length.
    if len(digits) == _LEAST_CARD and digits[0] != 4 and sum(digits[::2] + [3 * one for one in digits[1::2]]) % 10 == 0:
        return False
    # One digit over and over passes the check and is none.
    if len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def find_ibans(text: str) -> Iterator[Span]:
    """Yields where IBANs stand, from left to right."""
    done = 0
    for match in _IBAN_START.finditer(text):
        if match.start() >= done:
            rest = _IBAN_REST.match(text, match.end())
            end = None if rest is None else _iban_end(text, match.start(), rest.end())
            if end is not None:
                yield IBAN, match.start(), end
                done = end


def _iban_end(text: str, start: int, furthest: int) -> int | None:
    country, check = text[start : start + 2], text[start + 2 : start + 4]
    length = _IBAN_LENGTHS.get(country.upper())
    tail = int("".join(str(int(sign, 36)) for sign in country) + check)
    remainder, count, found = 0, 4, None
    for place in range(start + 4, furthest):
        value = _VALUES.get(text[place])
        if value is None:
            continue
        count += 1
        remainder = (remainder * (10 if value < 10 else 100) + value) % 97
        # Country and check digits count as if they stood at the end: then the remainder by 97 is 1.
        if count >= _LEAST_IBAN and (remainder * 10**6 + tail) % 97 == 1:
            # Of a country that we know the next word may follow without a space; of others the longest part is meant.
            if count == length and _LONGER.match(text, place + 1) is None and not _is_id(text[start + 4 : place + 1]):
                return place + 1
            if _ALNUM.match(text, place + 1) is None and _is_told(text[start : place + 1]):
                found = place + 1
    return found


def _is_told(part: str) -> bool:
    """Whether what looks like an IBAN of another country is no words of a sentence and no id."""
    return part.upper() == part and not _is_id(part)


def _is_id(part: str) -> bool:
    """Whether signs are hexadecimal digits, with letters among them."""
    plain = "".join(sign for sign in part if sign.isalnum())
    return not plain.isdecimal() and _HEX.fullmatch(plain) is not None
