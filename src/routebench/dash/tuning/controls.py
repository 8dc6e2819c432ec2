"""The sliders and fields of the tuner: they show a setting, and tell which field of it somebody changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.setting import BEST, BEST_SINGLE, DROP, EVERY, MIX, SCORE, Goal, Setting
from routebench.dash.tuning.state import Tuning
from routebench.tune.learning import MAX_RULES

if TYPE_CHECKING:
    from routebench.bench import Bench

_GOALS: tuple[tuple[str, Goal], ...] = (
    ("least cost, quality at least", "cost"),
    ("best quality, cost at most", "quality"),
    ("least cost + expected damage, quality at least", "charge"),
)
_LABELLED: dict[str, Any] = {"style": {"description_width": "initial"}}
_MOST_CLASSES = 60

Told = Callable[..., None]
"""Is told fields of a setting, by name."""


class Controls:
    """Everything that a person moves, but the buttons.

    Args:
        models: names.
        guards: names.
        classes: categories and tags, which stakes can be given for.
        told: is told what somebody changes.

    Attributes:
        asked: the controls of what is asked.
        picked: the slider of operating points.
        guarded: the guards, and the stakes.
    """

    def __init__(self, models: Sequence[str], guards: Sequence[str], classes: Sequence[str], told: Told) -> None:
        self._told = told
        self._busy = self._ready = False
        self._places: tuple[int, ...] = ()
        self._form_of_places = ""
        self.form = _dropdown("form", [BEST, MIX], "which forms of a rules.yaml are chosen among")
        self.goal = _dropdown("goal", _GOALS, "what is wanted")
        self.floor = _number("floor", 1.0, (-100, 100), 0.1, width="9em")
        units = [*((unit, unit) for unit in (DROP, BEST_SINGLE, SCORE)), *((f"% of {name}", name) for name in models)]
        self.floor_in = _dropdown("in", units, "what the floor is given in")
        self.cap = _number("USD per 1,000 at most", 1.0, (0, 1e6), 0.001, width="17em")
        self.slice = widgets.FloatSlider(
            value=5,
            min=0,
            max=30,
            step=0.5,
            description="most drop per slice, points",
            readout_format=".1f",
            layout=widgets.Layout(width="27em"),
            **_LABELLED,
        )
        self.latency = _number("p95 latency cap, s (0: none)", 0, (0, 3600), 0.1, width="18em")
        self.rules = widgets.IntSlider(
            value=MAX_RULES,
            min=1,
            max=MAX_RULES,
            description="rules at most",
            layout=widgets.Layout(width="18em"),
            **_LABELLED,
        )
        self.place = widgets.IntSlider(
            value=1,
            min=1,
            max=1,
            description="operating point",
            readout=True,
            layout=widgets.Layout(width="min(46em, 100%)"),
            **_LABELLED,
        )
        self.place.add_class("rb-place")
        self.place_told = widgets.Label()
        self._guards = [
            widgets.Checkbox(value=True, description=name, indent=False, layout=widgets.Layout(width="auto"))
            for name in guards
        ]
        self.stakes_of = _dropdown("a wrong answer to", [EVERY, *classes], "which requests these stakes are of")
        self.stakes = _number("costs, USD (0: as the suite says)", 0, (0, 1e9), 0.01, width="21em")
        self.stakes_told = widgets.Label()
        self.asked = widgets.VBox(
            [
                Panel.row(self.form, self.goal, self.floor, self.floor_in, self.cap),
                Panel.row(self.slice, self.latency, self.rules),
            ]
        )
        self.picked = Panel.row(self.place, self.place_told)
        guarded = Panel.row(widgets.Label("guards in force:"), *self._guards) if guards else widgets.Label("no guards")
        self.guarded = widgets.VBox([guarded, Panel.row(self.stakes_of, self.stakes, self.stakes_told)])
        self._stakes: dict[str, float] = {}
        self._wire()

    def _wire(self) -> None:
        self._tell(self.form, lambda value: {"form": value})
        self._tell(self.goal, lambda value: {"goal": value})
        self._tell(self.floor, lambda value: {"floor": float(value)})
        self._tell(self.floor_in, self._floor_in)
        self._tell(self.cap, lambda value: {"max_cost_usd_per_1k": float(value)})
        self._tell(self.slice, lambda value: {"max_drop_per_slice": float(value)})
        self._tell(self.latency, lambda value: {"max_latency_p95_s": float(value) or None})
        self._tell(self.rules, lambda value: {"max_rules": int(value)})
        self._tell(self.place, lambda value: {"form": self._form_of_places, "place": self._places[value - 1]})
        for box in self._guards:
            self._tell(box, lambda _value: {"off": tuple(one.description for one in self._guards if not one.value)})
        self.stakes_of.observe(lambda change: self._show_stakes(change["new"]), "value")
        self._tell(self.stakes, self._set_stakes)

    def _tell(self, control: Any, fields: Callable[[Any], Mapping[str, Any]]) -> None:
        def changed(change: Any) -> None:
            # A page that is being built sends what it was sent.
            if self._ready and not self._busy:
                self._told(**fields(change["new"]))

        control.observe(changed, "value")

    def _floor_in(self, unit: str) -> Mapping[str, Any]:
        # A floor of one point below is no floor of one percent.
        was_drop, is_drop = self.floor.value <= 50, unit == DROP
        fitting = {True: 1.0, False: 95.0}[is_drop] if was_drop != is_drop else float(self.floor.value)
        return {"floor_in": unit, "floor": fitting}

    def _set_stakes(self, value: float) -> Mapping[str, Any]:
        stakes = {**self._stakes, str(self.stakes_of.value): float(value)}
        return {"stakes": tuple((name, usd) for name, usd in stakes.items() if usd > 0)}

    def _show_stakes(self, label: str) -> None:
        self._quietly(self.stakes, self._stakes.get(label, 0.0))

    def _quietly(self, control: Any, value: Any) -> None:
        if control.value != value:
            busy, self._busy = self._busy, True
            try:
                control.value = value
            finally:
                self._busy = busy

    def offer(self, forms: Sequence[str]) -> None:
        """Offers the forms that are learned by now."""
        options = (BEST, *forms, MIX)
        if self.form.options != options:
            busy, self._busy = self._busy, True
            try:
                chosen = self.form.value
                self.form.options = options
                self.form.value = chosen if chosen in options else BEST
            finally:
                self._busy = busy

    def reach(self, form: str, places: Sequence[int], place: int | None, told: str) -> None:
        """Puts the slider over the points of a form.

        Args:
            form: its name.
            places: its points, by rising cost.
            place: the one that is stood on; None where none of them is.
            told: what it is called.
        """
        self._form_of_places, self._places = form, tuple(places)
        self.place.disabled = not places
        if self.place.max != max(1, len(places)):
            busy, self._busy = self._busy, True
            try:
                self.place.max = max(1, len(places))
            finally:
                self._busy = busy
        if place is not None:
            self._quietly(self.place, self._places.index(place) + 1)
        if self.place_told.value != told:
            self.place_told.value = told

    def walk(self, tuning: Tuning) -> None:
        """Puts the slider over the points of the form in hand, and where the setting stands."""
        curve, now = tuning.curve, tuning.now
        if curve is None:
            self.reach("", (), None, "")
            return
        order = curve.order
        here = now.place if now.form == curve.name else None
        where = "" if here is None else f", {order.index(here) + 1} of {len(order)} by cost"
        self.reach(curve.name, order, here, f"{now.name}: {now.label}{where}")

    def show(self, setting: Setting) -> None:
        """Shows a setting, whoever has changed it."""
        if setting.form in self.form.options:
            self._quietly(self.form, setting.form)
        self._quietly(self.goal, setting.goal)
        self._quietly(self.floor, setting.floor)
        self._quietly(self.floor_in, setting.floor_in)
        self._quietly(self.cap, setting.max_cost_usd_per_1k)
        self._quietly(self.slice, setting.max_drop_per_slice)
        self._quietly(self.latency, setting.max_latency_p95_s or 0.0)
        self._quietly(self.rules, setting.max_rules)
        for box in self._guards:
            self._quietly(box, box.description not in setting.off)
        self._stakes = dict(setting.stakes)
        self._show_stakes(str(self.stakes_of.value))
        self.stakes_told.value = "; ".join(f"{name}: ${usd:g}" for name, usd in setting.stakes)
        of_cost = setting.goal == "quality"
        for control, seen in ((self.floor, not of_cost), (self.floor_in, not of_cost), (self.cap, of_cost)):
            display = None if seen else "none"
            if control.layout.display != display:
                control.layout.display = display

    def allow(self, *, ready: bool, learned: bool) -> None:
        """Says what can be moved: nothing before the gate, and guards once every form is there to be replayed.

        Args:
            ready: whether there is anything to choose.
            learned: whether all forms are learned.
        """
        self._ready = ready
        for control in (
            self.form,
            self.goal,
            self.floor,
            self.floor_in,
            self.cap,
            self.slice,
            self.latency,
            self.rules,
        ):
            control.disabled = not ready
        for control in (self.stakes_of, self.stakes):
            control.disabled = not ready
        for box in self._guards:
            box.disabled = not learned
            box.tooltip = "switch this guard off or on" if learned else "once every form is learned"


def controls_of(bench: Bench, told: Told) -> Controls:
    """Returns the controls for a bench: its models, guards, categories and tags."""
    guards = [*(str(guard["name"]) for guard in bench.config.guards), *(one.name for one in bench.config.protect)]
    categories = sorted({case.category for case in bench.suite if case.category})
    tags = sorted({tag for case in bench.suite for tag in case.tags} - set(categories))
    names = [model.name for model in bench.models]
    return Controls(names, list(dict.fromkeys(guards)), [*categories, *tags][:_MOST_CLASSES], told)


def _dropdown(label: str, options: Any, help_text: str) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=options,
        description=label,
        tooltip=help_text,
        layout=widgets.Layout(width="auto", max_width="26em"),
        **_LABELLED,
    )


def _number(label: str, value: float, bounds: tuple[float, float], step: float, *, width: str) -> Any:
    low, high = bounds
    layout = widgets.Layout(width=width)
    return widgets.BoundedFloatText(
        value=value, min=low, max=high, step=step, description=label, layout=layout, **_LABELLED
    )
