"""Keeping secrets out of everything that is written: values of keys are replaced in any text before it is stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

_MASK = "[secret]"
_MIN_LENGTH = 6
"""Shorter values would blank ordinary words; no provider issues keys that short."""


class Secrets:
    """The secret values of this process, and a way to blank them in a text.

    A value is found as it is, URL-encoded, escaped as in a JSON text, or in base64: alone, or anywhere inside a
    longer encoded text such as a Basic authorization.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values if len(value) >= _MIN_LENGTH for form in _forms(value)}
        # Longest first: a form that contains another must go whole.
        self._forms = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Returns the text with every known secret replaced."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, _MASK)
        return text

    def clean_all(self, value: Any) -> Any:
        """Returns a JSON value with every known secret replaced in the strings of it, keys of objects included."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {self.clean(str(key)): self.clean_all(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean_all(item) for item in value]
        return value


def _forms(value: str) -> Iterator[str]:
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    plain = {value, *quoted, *(_lower_escapes(text) for text in quoted)}
    for text in plain:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield json.dumps(text)[1:-1].replace("/", "\\/")
    data = value.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode()
        for before in range(3):
            # Characters that hold bits of a neighbouring byte differ from text to text: only those between are ours.
            first = -(-before * 4 // 3)
            whole = (before + len(data)) * 8 // 6
            yield encode(b"\0" * before + data).decode()[first:whole]


def _lower_escapes(text: str) -> str:
    """%2F as %2f: both are written."""
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])
