from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.errors import InputError
from routebench.yaml_source import parse_yaml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2026-13-45\n", "f:2:4: a value that cannot be read (month must be in 1..12)"),
        ("x: [1, {b: 2026-02-30}]", "f:1:12: a value that cannot be read"),
        ("a: !!float x", "f:1:4: a value that cannot be read"),
        ("- !!timestamp soon", "f:1:3: a value that cannot be read"),
        ("a: " + "9" * 5000, "f:1:4: a value that cannot be read"),
        ("a: *b", "f:1:4: not valid YAML: found undefined alias"),
        ("a: \x00", "f: not valid YAML: "),
        ("a: b\nc: \ud800", "f:2: half of a character"),
        ("a: 1\na: 2", "f:2:1: key 'a' stands twice"),
        ("? [1]\n: 2", "f:1:3: not valid YAML: found unhashable key"),
        ("!!python/object/apply:os.getcwd []", "f:1:1: not valid YAML: could not determine a constructor"),
        ("&a [*a]", "nested more than 100 deep"),
        ("a: &a [1]\nb: [" + "*a, " * 200_000 + "]", "more than 200000 values"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "f")
    assert said in str(caught.value)


def test_places_are_those_of_keys_and_items() -> None:
    source = parse_yaml("a:\n  - {b: 1}\n  - c\n", "f")
    assert source.data == {"a": [{"b": 1}, "c"]}
    assert [source.where(path) for path in ((), ("a",), ("a", 0, "b"), ("a", 1), ("a", 0, "nowhere"))] == [
        "f:1:1", "f:1:1", "f:2:6", "f:3:5", "f:2:5",
    ]  # fmt: skip
    assert parse_yaml("", "f").data is None


value: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value)
def test_what_is_read_is_what_yaml_reads(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert parse_yaml(text, "f").data == yaml.safe_load(text)
