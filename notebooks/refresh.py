"""Runs notebooks and keeps the outputs that nbval checks, and no others: `python notebooks/refresh.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
CHECKED = "nbval-check-output"


def refresh(path: Path) -> None:
    """Runs one notebook in its folder and writes it back.

    Raises:
        CellExecutionError: a cell failed; the file is as it was.
    """
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    nbformat.write(stripped(book), path)


def stripped(book: Any) -> Any:
    """Takes away what differs from run to run: counts, times, widgets, and outputs that nobody checks."""
    book.metadata = {"kernelspec": book.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        checked = CHECKED in cell.metadata.get("tags", [])
        # nbval looks only at outputs of cells that were run; the same number everywhere keeps diffs small.
        cell.execution_count = 1 if checked else None
        cell.outputs = [_plain(output) for output in cell.outputs] if checked else []
    return book


def _plain(output: Any) -> Any:
    if "execution_count" in output:
        output["execution_count"] = 1
    return output


if __name__ == "__main__":
    named = [Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb"))
    for one in named:
        print(one)
        refresh(one)
