"""The notebooks as files: small diffs, no leftovers of a machine or a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_CELLS, MOST_BYTES = 32, 60_000


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_what_is_checked_is_kept(path: Path) -> None:
    for cell in cells(path):
        if cell["cell_type"] == "code":
            checked = "nbval-check-output" in cell["metadata"].get("tags", [])
            assert cell["execution_count"] == (1 if checked else None)
            assert checked == bool(cell["outputs"]), "".join(cell["source"])[:80]
            assert not any("widget-view" in kind for output in cell["outputs"] for kind in output.get("data", {}))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_of_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(cells(path)) <= MOST_CELLS
    assert len(text) <= MOST_BYTES
    assert set(json.loads(text)["metadata"]) == {"kernelspec", "language_info"}
    assert "/home/" not in text
    assert "Traceback" not in text


def test_a_notebook_tells_one_story_and_says_which() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]
    for path in NOTEBOOKS:
        first = cells(path)[0]
        assert first["cell_type"] == "markdown"
        assert "".join(first["source"]).startswith("# ")
