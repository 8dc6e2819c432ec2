from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from routebench.redact import Secrets

KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=8, max_size=40)
AROUND = st.binary(max_size=9)


@given(KEYS, AROUND, AROUND)
def test_a_key_is_found_in_base64_at_any_place(key: str, before: bytes, after: bytes) -> None:
    data = before + key.encode() + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(data).decode()
        cleaned = Secrets([key]).clean(encoded)
        assert "[secret]" in cleaned
        assert len(cleaned) < len(encoded) - len(key) + 12


@given(KEYS)
def test_a_key_is_found_in_addresses_and_json(key: str) -> None:
    secrets = Secrets([key])
    for text in (
        key,
        quote(key),
        quote(key, safe=""),
        quote_plus(key),
        quote(key, safe="").lower(),
        json.dumps(key)[1:-1],
    ):
        if text.lower() == text and key.lower() != key:
            continue
        assert key not in secrets.clean(f"x {text} y")
        assert secrets.clean(text) == "[secret]"


def test_values_of_every_shape_are_cleaned() -> None:
    secrets = Secrets(["sk-123456"])
    value = {"a": ["sk-123456", 7, None, {"sk-123456": True}], "b": ("x sk-123456",)}
    assert secrets.clean_all(value) == {"a": ["[secret]", 7, None, {"[secret]": True}], "b": ["x [secret]"]}


def test_short_values_and_other_text_stay() -> None:
    assert Secrets(["abc"]).clean("abc") == "abc"
    assert Secrets(["sk-123456"]).clean("nothing here") == "nothing here"
