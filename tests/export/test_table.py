from __future__ import annotations

from pathlib import Path

import pytest

from routebench.export.table import capability_table, sentences_table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "exporting.md"


def test_the_documentation_shows_the_table_of_the_code() -> None:
    assert capability_table() in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["litellm", "portkey", "vllm-sr", "openrouter"])
def test_the_documentation_shows_what_each_target_does(name: str) -> None:
    assert sentences_table(name) in DOCS.read_text(encoding="utf-8")
