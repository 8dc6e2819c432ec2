"""The comparison as a notebook panel: the sentence, the picture, the numbers."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from routebench.dash.charts import cost_quality, offline
from routebench.dash.tables import COMPARISON_COLUMNS, chart_hull, chart_points, comparison_rows
from routebench.evaluate import Comparison


class ComparePanel:
    """A comparison to look at; display it once.

    Attributes:
        result: the comparison.
        selection: names of the strategies that are drawn.
        chart: the Altair chart.
        demo: whether it is marked DEMO.
    """

    def __init__(self, comparison: Comparison, *, demo: bool = False) -> None:
        points, self._hidden = chart_points(comparison)
        self.result = comparison
        self.demo = demo
        self.selection = tuple(points["name"])
        self.chart = cost_quality(
            points, chart_hull(comparison), title=f"{comparison.suite}: cost and quality", reading=comparison.reading
        )

    def save(self, path: str | Path) -> Path:
        """Writes the panel as a page that draws with no network, and returns its path."""
        path = Path(path)
        self.chart.save(str(path), inline=True)
        page = path.read_text(encoding="utf-8")
        path.write_text(page.replace("<body>", f"<body>{self._html()}", 1), encoding="utf-8")
        return path

    def _html(self) -> str:
        head = "".join(f"<th>{html.escape(column)}</th>" for column in COMPARISON_COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in comparison_rows(self.result)
        )
        mark = "<strong>DEMO</strong> recorded answers of the embedded models. " if self.demo else ""
        hidden = (
            f"<p>Not drawn, failing more than half the cases: {', '.join(self._hidden)}.</p>" if self._hidden else ""
        )
        return (
            f"<section><p>{mark}{html.escape(self.result.reading)}</p>"
            f"<details open><summary>Numbers</summary><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table></details>{hidden}</section>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = offline(self.chart)._repr_mimebundle_(**kwargs)
        data = dict((bundle[0] if isinstance(bundle, tuple) else bundle) or {})
        # A notebook without widgets still shows sentence and numbers.
        return {**data, "text/html": self._html(), "text/plain": repr(self.result)}

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(HTML(self._html()), offline(self.chart))


def compare(comparison: Comparison) -> ComparePanel:
    """Returns the panel of a comparison; the last expression of a cell displays it."""
    return ComparePanel(comparison)
