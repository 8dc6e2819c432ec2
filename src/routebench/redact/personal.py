"""Personal data in texts: e-mail addresses, phone numbers, cards and IBANs, and what the user's own function finds.

Cards and IBANs are told from other numbers by their check digits, so that order numbers and results of sums stay.
Names have no form: finding them is left to the user's function.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routebench.errors import ConfigError

EMAIL, PHONE, CARD, IBAN = "email", "phone", "card", "iban"

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[0-9A-Za-z]){11,30}(?![0-9A-Za-z])")
_CARD = re.compile(r"(?<![\d.,-])\d(?:[ \u00a0-]?\d){12,18}(?![\d-]|[.,]\d)")
# A plus or two zeros, an area code in parentheses or after a zero, or groups of three, three and four.
_PHONE = re.compile(
    r"""(?<![\w.,/+-])(?:
        (?:\+|00)[1-9](?:[ \u00a0./-]?\(?\d\)?){6,14}
      | \(\d{2,5}\)(?:[ \u00a0./-]?\d){5,10}
      | 0\d{1,5}(?:[ \u00a0/-]\d{2,9}){1,4}
      | 0[1-9]\d{8,9}
      | \d{3}[ \u00a0.-]\d{3}[ \u00a0.-]\d{4}
    )(?![\w/]|[.,-]\d)""",
    re.VERBOSE,
)
_DATE = re.compile(r"\d{1,2}([/. -])\d{1,2}\1\d{2,4}")
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
_GIVE_BACK = re.compile(r"[ \u00a0-]")


class Redactor:
    """Blanks personal data in texts and counts what it found.

    Args:
        own: the user's function, called with a text after the built-in forms; it returns the text without, for
            instance, names.

    Attributes:
        found: kind -> how often; what the user's function changed counts as `own`, once a text.
    """

    def __init__(self, own: Callable[[str], str] | None = None) -> None:
        self.found: Counter[str] = Counter()
        self._own = own

    def clean(self, text: str) -> str:
        """Returns the text with every piece of personal data replaced by its kind in brackets, such as `[email]`."""
        if "@" in text:
            text = _EMAIL.sub(lambda _: self._blank(EMAIL), text)
        text = _IBAN.sub(self._iban, text)
        text = _CARD.sub(lambda match: self._blank(CARD) if _is_card(match[0]) else match[0], text)
        text = _PHONE.sub(lambda match: self._blank(PHONE) if _is_phone(match[0]) else match[0], text)
        return text if self._own is None else self._by_own(text, self._own)

    def clean_all(self, value: Any) -> Any:
        """Returns a JSON value with the strings of it cleaned; keys of objects stay."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {key: self.clean_all(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean_all(inner) for inner in value]
        return value

    def _iban(self, match: re.Match[str]) -> str:
        # A word may follow after a space and look like more of it: the longest part with good check digits is meant.
        text = match[0]
        for end in range(len(text), 14, -1):
            if (
                text[end - 1] not in " \u00a0-"
                and (end == len(text) or not text[end].isalnum())
                and _is_iban(text[:end])
            ):
                return self._blank(IBAN) + text[end:]
        return text

    def _by_own(self, text: str, own: Callable[[str], str]) -> str:
        try:
            cleaned = own(text)
        except Exception as error:  # noqa: BLE001 - whatever their function does, it is told
            # The text itself must not stand in the message.
            raise ConfigError(
                f"the redact function raised {type(error).__name__}; mend it, nothing was written"
            ) from None
        if not isinstance(cleaned, str):
            raise ConfigError(f"the redact function returned {type(cleaned).__name__}; it must return a text")
        self.found["own"] += cleaned != text
        return cleaned

    def _blank(self, kind: str) -> str:
        self.found[kind] += 1
        return f"[{kind}]"


def load_redactor(name: str | None, folder: Path | None = None) -> Redactor:
    """Returns a redactor with the user's function, where one is named.

    Args:
        name: `package.module:function` or `file.py:function`.
        folder: that a file's path is relative to; the current one when left out.

    Raises:
        ConfigError: there is no such function.
    """
    return Redactor(None if name is None else _function(name, folder or Path()))


def _function(name: str, folder: Path) -> Callable[[str], str]:
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise ConfigError(f"redact {name!r}: write it as package.module:function or file.py:function")
    try:
        module = _from_file(folder / place) if place.endswith(".py") else importlib.import_module(place)
        found = getattr(module, attribute)
    except (ImportError, OSError, SyntaxError, AttributeError) as error:
        raise ConfigError(f"redact {name!r}: cannot be loaded ({error})") from None
    if not callable(found):
        raise ConfigError(f"redact {name!r}: is no function")
    function: Callable[[str], str] = found
    return function


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"routebench_redact_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isascii() and sign.isdigit()]


def _is_card(text: str) -> bool:
    """Luhn's check, ISO/IEC 7812; one digit over and over passes it and is none."""
    digits = _digits(text)
    if len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: moved and written as digits, the remainder by 97 is 1."""
    plain = _GIVE_BACK.sub("", text).upper()
    if not plain.isascii() or not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _is_phone(text: str) -> bool:
    return _LEAST_DIGITS <= len(_digits(text)) <= _MOST_DIGITS and _DATE.fullmatch(text) is None
