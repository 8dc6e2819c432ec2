"""Cards and IBANs in texts, told from other long numbers by their check digits, first digits and lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator

from routebench.redact.spans import AFTER_ESCAPE, GAP, Span, digits_of

CARD, IBAN = "card", "iban"

_RUN = re.compile(rf"\d+(?:[{GAP}.]\d+)*")
_GROUP = re.compile(r"\d+")
_LEAST_CARD, _MOST_CARD = 13, 19
_TOKEN = 40
_CARD_LAYOUTS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (6, 13), (8, 8))
# ISO/IEC 7812: first digits -> lengths; others are numbers of something else.
_SCHEMES = (
    (re.compile("4"), {13, 16, 18, 19}),
    (re.compile("3[47]"), {15}),
    (re.compile("3[0689]"), {14, 15, 16, 17, 18, 19}),
    (re.compile("35"), {16, 17, 18, 19}),
    (re.compile("[56]"), {13, 14, 15, 16, 17, 18, 19}),
    (re.compile("220[0-5]"), {16, 17, 18, 19}),
    (re.compile("222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile("8[12]|9792"), {16, 17, 18, 19}),
)

_IBAN_START = re.compile(rf"(?:(?<![0-9A-Za-z])|(?<=IBAN)|{AFTER_ESCAPE})[A-Za-z]{{2}}[0-9]{{2}}(?![0-9]{{0,8}}[.,:])")
_IBAN_REST = re.compile(rf"(?:[{GAP}.]?[0-9A-Za-z]){{11,30}}")
_HEX = re.compile("[0-9A-Fa-f]+")
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
    sizes: list[int] = []
    found = None
    for last in range(first, min(len(groups), first + _MOST_CARD)):
        sizes.append(groups[last][1] - groups[last][0])
        if sum(sizes) > _MOST_CARD:
            break
        whole = first == 0 and last == len(groups) - 1
        if (
            sum(sizes) >= _LEAST_CARD
            and (whole or len(sizes) == 1 or tuple(sizes) in _CARD_LAYOUTS)
            and not (len(sizes) > 2 and set(sizes[1:]) == {3})
            and _is_alone(text, groups[first][0], groups[last][1], single=len(sizes) == 1)
            and is_card(text[groups[first][0] : groups[last][1]])
        ):
            found = last
            # A number in one piece is the card, and what follows is its date or code.
            if len(sizes) == 1:
                break
    return found


def _is_alone(text: str, start: int, end: int, *, single: bool) -> bool:
    """Whether digits are no fraction, no part of an amount, and no part of an id in hexadecimal digits."""
    if single and (re.search(r"\d\.$", text[max(0, start - 2) : start]) or re.match(r"\.\d", text[end : end + 2])):
        return False
    before = re.search(r"[0-9A-Za-z]*$", text[max(0, start - _TOKEN) : start], re.ASCII)
    after = re.match(r"[0-9A-Za-z]*", text[end : end + _TOKEN], re.ASCII)
    around = (before[0] if before else "") + (after[0] if after else "")
    return not around or _HEX.fullmatch(around) is None or bool(re.search(rf"{AFTER_ESCAPE}$", text[:start][-8:]))


def is_card(text: str) -> bool:
    """Whether digits are those of a card: a scheme's first digits and length, and Luhn's check."""
    digits = digits_of(text)
    plain = "".join(map(str, digits))
    if not any(first.match(plain) and len(digits) in lengths for first, lengths in _SCHEMES):
        return False
    # A 13-digit barcode that begins like a card is far more common than a card of that length.
    if len(digits) == _LEAST_CARD and plain[0] != "4" and sum(digits[::2] + [3 * one for one in digits[1::2]]) % 10 == 0:
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
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    places = [place for place in range(start, furthest) if text[place].isalnum()]
    if length is not None and len(places) >= length:
        end = places[length - 1] + 1
        # The next word may follow without a space; a longer number is another one.
        follows = text[end : end + 1]
        if not (follows.isascii() and (follows.isdigit() or follows.islower())) and is_iban(text[start:end]):
            return end
    # Of other countries the longest part with good check digits; of those in our table, one that an error cut short.
    for count in range(len(places), 14, -1):
        end = places[count - 1] + 1
        part = text[start:end]
        if text[end : end + 1].isalnum() or part.upper() != part or _HEX.fullmatch(_plain(part)):
            continue
        if is_iban(part):
            return end
    return None


def is_iban(text: str) -> bool:
    """ISO 13616: moved and written as digits, the remainder by 97 is 1."""
    plain = _plain(text)
    if not plain.isascii() or not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _plain(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum()).upper()
