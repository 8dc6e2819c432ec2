"""What a person chooses in a production panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.production.seen import LENGTHS_S, Facet
from routebench.dash.production.state import FACETS, Production
from routebench.dash.production.wording import span

_ALL = ""
"""A field whose value is None shows nothing."""
_RANGES_S = (900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)
_TOLD: Mapping[Facet, str] = {
    "model": "Answered by",
    "rule": "Rule",
    "client": "Client",
    "outcome": "Outcome",
    "policy": "Rule set",
}
_MOST_OPTIONS = 60
"""Values of a facet that can be chosen by hand; `state.choose` knows all of them."""


class Controls:
    """The fields and buttons.

    Args:
        choose: is told a facet and a value, None for all.
        look_back: is told how many seconds to look back on, None for everything.
        cut: is told the length of a stretch in seconds, None for one that fits.

    Attributes:
        widget: all of it.
        clear: lifts every choice.
        follow: whether new traces are read.
    """

    def __init__(
        self,
        choose: Callable[[Facet, str | None], None],
        look_back: Callable[[float | None], None],
        cut: Callable[[float | None], None],
    ) -> None:
        self._quiet = False
        self._range = _dropdown("Time", [("everything", _ALL), *((f"last {span(one)}", one) for one in _RANGES_S)])
        self._length = _dropdown("Stretch", [("fitting", _ALL), *((span(one), float(one)) for one in LENGTHS_S)])
        self._facets = {facet: _dropdown(_TOLD[facet], [("all", _ALL)]) for facet in FACETS}
        self.clear = widgets.Button(description="Show everything", tooltip="lift every choice")
        self.follow = widgets.ToggleButton(
            value=True, description="Following", tooltip="read new traces every two seconds; press to pause"
        )
        self.chosen = widgets.HTML()
        self.widget = Panel.row(self._range, self._length, *self._facets.values(), self.clear, self.follow, self.chosen)
        self._range.observe(lambda change: None if self._quiet else look_back(change["new"] or None), "value")
        self._length.observe(lambda change: None if self._quiet else cut(change["new"] or None), "value")
        for facet, field in self._facets.items():
            field.observe(
                lambda change, facet=facet: None if self._quiet else choose(facet, change["new"] or None), "value"
            )

    def show(self, state: Production) -> None:
        """Offers what there is to choose, and shows what is chosen."""
        # Other options begin at the first of them, which is no choice of a person.
        self._quiet = True
        try:
            self._range.value = state.last_s if state.last_s in _RANGES_S else _ALL
            self._length.value = state.asked_length_s if state.asked_length_s in LENGTHS_S else _ALL
            for facet, field in self._facets.items():
                chosen = state.chosen.get(facet)
                counts = state.options(facet)
                offered: list[tuple[str, Any]] = [("all", _ALL)]
                offered += [(f"{name} ({n:,})", name) for name, n in list(counts.items())[:_MOST_OPTIONS]]
                if chosen is not None and chosen not in {name for _, name in offered}:
                    offered.append((f"{chosen} ({counts.get(chosen, 0):,})", chosen))
                if tuple(field.options) != tuple(offered):
                    field.options = offered
                field.value = chosen or _ALL
                # What is the same for all traces is no choice.
                field.layout.display = None if len(counts) > 1 or chosen is not None else "none"
            self.follow.layout.display = None if state.source.grows else "none"
        finally:
            self._quiet = False


def _dropdown(title: str, options: Sequence[tuple[str, Any]]) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=options,
        description=title,
        style={"description_width": "initial"},
        layout=widgets.Layout(width="auto", max_width="260px"),
    )
