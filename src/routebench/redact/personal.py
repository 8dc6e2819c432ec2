"""Personal data in texts: e-mail addresses, phone numbers, cards and IBANs, and what the user's own function finds.

Cards and IBANs are told from other numbers by their check digits, so that order numbers and results of sums stay.
Names have no form: finding them is left to the user's function.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from routebench.errors import ConfigError
from routebench.redact.banking import find_cards, find_ibans
from routebench.redact.phones import find_phones
from routebench.redact.spans import AFTER_ESCAPE, Span

EMAIL = "email"

# Marks that make a letter of the one before them; they are no letters themselves.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31-\u0e3a"
    "\u0e47-\u0e4e\u0eb1-\u0ebc\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u3099\u309a\ufe20-\ufe2f"
)
_LOCAL = rf"(?:[\w.+{_MARKS}-]|%(?!40))"
_INNER = r"['\u2019&!#$*^~]"
"""Signs that are part of an address between others, and quote or enumerate before it."""
_ODD = r"[!#$&'*/=?^`{|}~]"
"""Signs that an address may have too, but that nobody's has but at its end."""
_EMAIL = re.compile(
    rf"""
    (?: (?:(?<![\w.+%{_MARKS}\\-])(?<![\w.+-]{_INNER})|{AFTER_ESCAPE})
        {_LOCAL}(?:{_LOCAL}|{_INNER}(?={_LOCAL}))*+{_ODD}*+
      | (?<!{_ODD})(?<!{_LOCAL}){_ODD}++
      | "[^"\n@]{{1,64}}" )
    (?:[@\uff20\ufe6b]|%40)
    (?: (?!v?\d+\.\d)(?:[\w{_MARKS}-]++[.\u3002\uff0e\uff61])+
        (?:(?<=[.\u3002\uff0e\uff61])(?:xn--[A-Za-z0-9-]+|[A-Za-z]{{2,63}}|[^\W\d_](?:[^\W\d_]|[{_MARKS}]){{1,62}}+))
      | \[[0-9A-Fa-f.:]{{7,45}}\] )
    """,
    re.VERBOSE,
)
_AT = ("@", "\uff20", "\ufe6b", "%40")
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u([0-9a-fA-F]{4})")


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
        plain = _ESCAPE.sub(_unescaped, text) if "\\u" in text else text
        cleaned = self._by_forms(plain)
        if self._own is not None:
            cleaned = self._by_own(cleaned, self._own)
        # Escapes are only written out where something stood in them or beside them.
        return text if cleaned == plain else cleaned

    def clean_all(self, value: Any, *, names: bool = False) -> Any:
        """Returns a JSON value with the strings of it cleaned.

        Args:
            value: what to clean.
            names: whether the keys of its objects are the user's too; else only the built-in forms are blanked in them.
        """
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {
                (self.clean(str(key)) if names else self._by_forms(str(key))): self.clean_all(inner, names=names)
                for key, inner in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.clean_all(inner, names=names) for inner in value]
        return self._number(value)

    def clean_json(self, text: str) -> str:
        """Returns a JSON text with its strings cleaned, so that it stays one; another text is cleaned as it is."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self.clean(text)
        cleaned = self.clean_all(value, names=True)
        return text if cleaned == value else json.dumps(cleaned, ensure_ascii=False)

    def _number(self, value: Any) -> Any:
        """A card's or a phone's digits may be written as a number."""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**12:
            text = str(value)
            cleaned = self._by_forms(text)
            return value if cleaned == text else cleaned
        return value

    def _by_forms(self, text: str) -> str:
        if any(sign in text for sign in _AT):
            text = self._blank(text, ((EMAIL, *match.span()) for match in _EMAIL.finditer(text)))
        text = self._blank(text, find_ibans(text))
        text = self._blank(text, find_cards(text))
        return self._blank(text, find_phones(text))

    def _blank(self, text: str, spans: Iterable[Span]) -> str:
        """The text with some places of it replaced by their kind; the first of two that overlap counts."""
        parts, done = [], 0
        for kind, start, end in sorted(spans, key=lambda span: (span[1], -span[2])):
            if start >= done:
                parts += [text[done:start], f"[{kind}]"]
                self.found[kind] += 1
                done = end
        return "".join([*parts, text[done:]]) if parts else text

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


def _unescaped(match: re.Match[str]) -> str:
    sign = chr(int(match[2], 16))
    # Quotes, line feeds and halves of a pair must stay escaped: the text may be JSON.
    return match[0] if sign in '"\\' or not sign.isprintable() else match[1] + sign
