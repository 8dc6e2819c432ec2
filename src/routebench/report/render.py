"""One page, drawn as HTML that holds everything it shows, or as Markdown."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from routebench.errors import InputError
from routebench.evaluate import Comparison
from routebench.report.blocks import Page
from routebench.report.content import make_page
from routebench.report.told import Told

_TEMPLATES = {".html": "page.html.j2", ".htm": "page.html.j2", ".md": "page.md.j2", ".markdown": "page.md.j2"}


def write_report(path: str | Path, comparison: Comparison, **about: Any) -> Path:
    """Writes a report and returns its path.

    Args:
        path: of the file: `.html`, or `.md` for Markdown, which holds the numbers and no picture.
        comparison: what is shown.
        about: the other fields of `Told`.

    Raises:
        InputError: the file cannot be written, or its name says no format.
    """
    return write_page(path, make_page(Told(comparison, **about)))


def write_page(path: str | Path, page: Page) -> Path:
    """Writes a page and returns its path.

    Raises:
        InputError: the file cannot be written, or its name says no format.
    """
    path = Path(path)
    template = _TEMPLATES.get(path.suffix.lower())
    if template is None:
        raise InputError(f"{path}: a report is HTML or Markdown; call it report.html or report.md")
    text = render(page, template)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    return path


def render(page: Page, template: str) -> str:
    """Draws a page with one of the templates beside this file."""
    environment = jinja2.Environment(
        autoescape=template.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _markdown_cell
    environment.filters["fence"] = _fence
    source = (files("routebench.report") / template).read_text(encoding="utf-8")
    return environment.from_string(source).render(page=page)


def _markdown_cell(text: str) -> str:
    """A text that cannot break out of its line, its table cell, or into HTML or a picture."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]<>|#!":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def _fence(text: str) -> str:
    """A fenced block, with a fence that is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text.rstrip()}\n{fence}"
