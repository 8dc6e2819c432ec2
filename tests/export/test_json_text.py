from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.export.json_text import json_text

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=60)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=9), inner)),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_it_is_the_same_json(value: object) -> None:
    assert json.loads(json_text(value)) == value


def test_what_fits_stands_on_one_line() -> None:
    assert json_text({"a": [1, 2], "b": "x" * 120}) == '{\n  "a": [1, 2],\n  "b": "' + "x" * 120 + '"\n}\n'
