"""The buttons and fields of a run panel, and which of them make sense when."""

from __future__ import annotations

import contextlib
import math

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.watching.state import Watch
from routebench.errors import InputError
from routebench.run import Progress


class Controls:
    """What a person does with a run.

    Attributes:
        widget: all of it.
    """

    def __init__(self, most_usd: float | None, most_concurrency: int) -> None:
        bound = "" if most_usd is None else f", at most ${most_usd:g} on this page"
        self.start = _button("Start", "send the plan under the caps beside this button", "primary")
        self.pause = _button("Pause", "finish the calls in flight, send nothing new; Space does it too, from here")
        self.stop = _button("Stop", "end after the calls in flight; nothing is lost, the next run goes on from there")
        self.again = _button("Plan what is left", "price what has no answer yet")
        self.cap = _field("Cap, US dollars", "no cap", f"hard cap on what is billed{bound}")
        self.raise_cap = _button("Raise cap", "allow the run the sum in the field, at once")
        self.calls = _field("Cap, calls", "needed", "hard cap on requests, for models whose price is unknown")
        self.concurrency = widgets.IntSlider(
            value=most_concurrency,
            min=1,
            max=most_concurrency,
            description="Calls at once",
            continuous_update=False,
            style={"description_width": "initial"},
            tooltip="the most in flight to one account",
        )
        self.widget = Panel.row(
            self.start, self.pause, self.stop, self.again, self.cap, self.raise_cap, self.calls, self.concurrency
        )

    def suggest(self, watch: Watch) -> None:
        """Fills the fields for a plan: the bench's own cap, else the worst case."""
        assert watch.priced is not None
        assert watch.bench is not None
        worst, asked, most = watch.priced.plan.cost_high_usd, watch.bench.config.budget_usd, watch.left_usd
        cap = worst if asked is None else asked
        if most is not None:
            cap = most if cap is None else min(cap, most)
        # Up to the next cent, so that the worst case fits.
        self.cap.value = "" if cap is None else f"{math.ceil(100 * cap) / 100 if most is None else cap:g}"

    def show(self, watch: Watch, progress: Progress | None) -> None:
        """Shows what can be done now."""
        going = watch.is_going
        planned = watch.stage == "plan"
        able = planned and watch.priced is not None and bool(watch.priced.n_calls)
        writable = not watch.read_only
        unpriced = watch.priced is not None and bool(watch.priced.unpriced)
        capped = going and progress is not None and progress.cap_usd is not None
        self.pause.description = "Resume" if progress is not None and progress.status == "paused" else "Pause"
        self.again.description = "Plan what is left" if progress is not None and progress.left else "Plan again"
        _seen(self.start, writable and able)
        _seen(self.pause, writable and going)
        _seen(self.stop, writable and going)
        ended = watch.stage == "run" and not going
        _seen(self.again, watch.bench is not None and (ended or (planned and watch.priced is None)))
        _seen(self.cap, writable and (able or capped))
        _seen(self.raise_cap, writable and capped)
        _seen(self.calls, writable and able and unpriced and watch.most_usd is None)
        _seen(self.concurrency, writable and going and self.concurrency.max > 1)
        if going and watch.run is not None:
            # Whoever narrowed the run down: another panel, or Python.
            self.concurrency.value = watch.run.max_concurrency

    def caps(self) -> dict[str, float]:
        """The caps in the fields by the names that `Bench.run` gives them; what is empty or wrong is left out."""
        found: dict[str, float | None] = {}
        for name, read in (("budget_usd", self.cap_usd), ("max_calls", self.max_calls)):
            with contextlib.suppress(InputError):
                found[name] = read()
        return {name: value for name, value in found.items() if value is not None}

    def cap_usd(self) -> float | None:
        """The sum in the field, None where it is empty.

        Raises:
            InputError: it is no sum.
        """
        text = self.cap.value.strip().removeprefix("$").replace(",", "")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise InputError(f"{self.cap.value!r} is no sum in US dollars; write a number such as 2.50")
        return value

    def max_calls(self) -> int | None:
        """The number of calls in the field, None where it is empty.

        Raises:
            InputError: it is no number of calls.
        """
        text = self.calls.value.strip().replace(",", "")
        if not text:
            return None
        if not text.isdecimal() or not int(text):
            raise InputError(f"{self.calls.value!r} is no number of calls; write one such as 500")
        return int(text)


def _button(text: str, help_text: str, style: str = "") -> widgets.Button:
    return widgets.Button(
        description=text, tooltip=help_text, button_style=style, layout=widgets.Layout(width="auto", min_width="5em")
    )


def _field(text: str, placeholder: str, help_text: str) -> widgets.Text:
    return widgets.Text(
        description=text,
        placeholder=placeholder,
        tooltip=help_text,
        style={"description_width": "initial"},
        layout=widgets.Layout(width="14em"),
    )


def _seen(widget: widgets.Widget, seen: bool) -> None:  # noqa: FBT001 - a question with yes or no
    widget.layout.display = None if seen else "none"
