"""A panel as a page of its own: no script, no network, light and dark."""

from __future__ import annotations

import html
from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
td { font-variant-numeric: tabular-nums; }
footer { font-size: 13px; opacity: .8; }
"""  # noqa: E501 - a style sheet


def page(title: str, reading: str, *, pictures: Sequence[str], tables: Sequence[str], footer: str) -> str:
    """Returns the whole page.

    Args:
        title: plain text.
        reading: plain text.
        pictures: SVG, from this house.
        tables: HTML, from this house.
        footer: plain text.
    """
    figures = "".join(f"<figure>{svg}</figure>" for svg in pictures)
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style><body><h1>{html.escape(title)}</h1><p>{html.escape(reading)}</p>"
        f"{figures}{''.join(tables)}<footer>{html.escape(footer)}</footer></body></html>"
    )
