"""Keeping secrets out of everything that is written: values of keys are replaced in any text before it is stored."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

_MASK = "[secret]"
_MIN_LENGTH = 6
"""Shorter values would blank ordinary words; no provider issues keys that short."""


class Secrets:
    """The secret values of this process, and a way to blank them in a text.

    A value is found as it is, base64-encoded (with and without padding) or URL-encoded, as error bodies echo it.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in values:
            if len(value) < _MIN_LENGTH:
                continue
            encoded = base64.b64encode(value.encode()).decode()
            forms |= {value, quote(value, safe=""), encoded, encoded.rstrip("=")}
        # Longest first: a form that contains another must go whole.
        self._forms = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Returns the text with every known secret replaced."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text
