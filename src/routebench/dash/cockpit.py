"""Every panel of a bench on one page, each made when it is first looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import ipywidgets as widgets

from routebench import __version__
from routebench.bench import Bench, opened
from routebench.dash.browsing import browse
from routebench.dash.comparing import ComparePanel
from routebench.dash.grading import grader
from routebench.dash.parts import ChartView, Numbers, Panel
from routebench.dash.production import prepared
from routebench.dash.today import TodayPanel, stand
from routebench.dash.tuning import tuner
from routebench.dash.watching import live
from routebench.errors import InputError, RoutebenchError
from routebench.evaluate.protocol import Strategy
from routebench.strategies import Decisions, RulesFile

_SEED = 42
_DEMO = "DEMO: recorded answers of embedded models. "
_PLAYED = (
    "DEMO: this is no run of today. When the demonstration was opened, the calls below were played from a recording; "
    "no model was asked, and nothing was paid."
)
_RATES = {"which of two answers is better": "pairwise", "how good one answer is": "score"}

Make = Callable[[], Callable[[], Panel]]
"""Does what takes its time, on a thread, and returns what makes the panel, on the kernel's own: a browser that asks for
all widgets while another thread makes one gets no answer."""


class Cockpit(Panel):
    """The panels of a bench, one at a time.

    Args:
        bench: whose; or the path of a bench.yaml.
        strategies: what is compared, besides the baselines; the rules, the router of today and tuned-by-hand `rules`
            when left out.
        rules: a rules.yaml: compared, put beside the router of today, and its coverage shown.
        today: decisions of the router that runs today.
        traces: the folder that a gateway writes its traces to.
        read_only: whether nothing may be sent, written or exported.
        cap_usd: the most that all runs from here may cost together, in US dollars.
        folder: the only one that the page may export into; None where any path will do.
        demo: whether it is marked DEMO: its answers were recorded.

    Attributes:
        panels: those that were opened so far, by name.
        selection: the name of the one that is shown.
        result: the panel that is shown; None while it is being made.
    """

    result: Panel | None

    def __init__(
        self,
        bench: Bench,
        *,
        strategies: Sequence[str | Strategy] | None = None,
        rules: str | Path | None = None,
        today: str | Path | None = None,
        traces: str | Path | None = None,
        read_only: bool = False,
        cap_usd: float | None = None,
        folder: str | Path | None = None,
        demo: bool = False,
    ) -> None:
        self.bench = bench
        self.demo = demo
        self.panels: dict[str, Panel] = {}
        self._makers = _makers(
            bench, strategies, rules, today, traces, read_only=read_only, cap_usd=cap_usd, folder=folder, demo=demo
        )
        # One at a time: two that read everything at once take twice as long, and the kernel stays free meanwhile.
        self._making = ThreadPoolExecutor(1, thread_name_prefix="routebench-cockpit")
        self._asked: set[str] = set()
        self._tabs = widgets.ToggleButtons(
            options=list(self._makers), tooltips=[_TOLD[name] for name in self._makers], style={"button_width": "auto"}
        )
        self._places = {name: widgets.VBox(layout=widgets.Layout(width="100%")) for name in self._makers}
        super().__init__(
            title=f"Cockpit: {bench.suite.name}{' (DEMO)' if demo else ''}",
            children=[self._tabs, *self._places.values()],
            footer=f"suite {bench.suite.name}; routebench {__version__}",
            css=Path(__file__).parent / "cockpit.css",
        )
        self.widget.add_class("rb-cockpit")
        # Every panel brings its own footer, with the code that gives it.
        self.widget.children = self.widget.children[:-1]
        self.reading = (_DEMO if demo else "") + _reading(bench, read_only=read_only, cap_usd=cap_usd)
        self._tabs.observe(lambda change: self.show(change["new"]), "value")
        self.show(self._tabs.value)

    def show(self, name: str) -> None:
        """Shows a panel, and makes it if it is looked at for the first time.

        Raises:
            InputError: there is no such panel here.
        """
        if name not in self._places:
            raise InputError(f"no panel {name!r} here; there are {', '.join(self._places)}")
        self._tabs.value = self.selection = name
        self.result = self.panels.get(name)
        for other, place in self._places.items():
            place.layout.display = "" if other == name else "none"
        if name not in self._asked:
            self._asked.add(name)
            self._make(name)

    def code(self) -> str:
        """The Python that gives the same."""
        return f"import routebench as rb\nrb.cockpit(rb.Bench({str(self.bench.config.path)!r}))"

    def numbers(self) -> Sequence[Numbers]:
        """The figures of the panel that is shown."""
        return () if self.result is None else self.result.numbers()

    def pictures(self) -> Sequence[ChartView]:
        """The pictures of the panel that is shown."""
        return () if self.result is None else self.result.pictures()

    def _make(self, name: str) -> None:
        place = self._places[name]
        place.children = (widgets.HTML(f"<p role='status'>{name} is being made …</p>"),)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            made: Future[Callable[[], Panel]] = Future()
            try:
                made.set_result(self._makers[name]())
            except RoutebenchError as error:
                made.set_exception(error)
            self._put(name, made)
        else:
            future = self._making.submit(self._makers[name])
            future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._put, name, done))

    def _put(self, name: str, made: Future[Callable[[], Panel]]) -> None:
        try:
            panel = made.result()()
        except RoutebenchError as error:
            again = widgets.Button(description="Try again", tooltip="after the mend")
            again.on_click(lambda _button: self._make(name))
            panel = Panel(title=name, children=[again])
            panel.refuse(error)
            self._places[name].children = (panel.widget,)
            return
        except Exception:
            # A defect of ours goes on to the log; whoever looks at the page must not wait for ever.
            self._places[name].children = (widgets.HTML(f"<p role='alert'>{name} broke; the log says how.</p>"),)
            raise
        self.panels[name] = panel
        if self.selection == name:
            self.result = panel
        played = widgets.HTML(f"<p class='rb-played'>{_PLAYED}</p>")
        self._places[name].children = (*([played] if self.demo and name == "Run" else []), panel.inside())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        # Every panel brings its own numbers.
        display(self.widget)


_TOLD = {
    "Compare": "which strategies are better, at what cost, and on which cases",
    "Today": "the router that runs today, beside other rules",
    "Production": "what a gateway served, beside the evidence",
    "Tune": "thresholds and constraints, on the training half",
    "Run": "what is answered, what is missing, and what it costs",
    "Browse": "the suite: its cases, lengths, near-duplicates and missing cells",
    "Grade": "people grade answers blindly",
}


def cockpit(
    bench: Bench | str | Path,
    *,
    strategies: Sequence[str | Strategy] | None = None,
    rules: str | Path | None = None,
    today: str | Path | None = None,
    traces: str | Path | None = None,
    read_only: bool = False,
    cap_usd: float | None = None,
    folder: str | Path | None = None,
    demo: bool = False,
) -> Cockpit:
    """Returns all panels of a bench on one page; the last expression of a cell displays it.

    Args:
        bench: whose.
        strategies: what is compared, besides the baselines.
        rules: a rules.yaml: compared, put beside the router of today, and its coverage shown.
        today: decisions of the router that runs today, as `routebench decisions` records them.
        traces: the folder that a gateway writes its traces to; held against the evidence of `rules`, where it is given.
        read_only: whether nothing may be sent, written or exported.
        cap_usd: the most that all runs from here may cost together, in US dollars.
        folder: the only one that the page may export into; None where any path will do.
        demo: whether it is marked DEMO: its answers were recorded.
    """
    return Cockpit(
        opened(bench),
        strategies=strategies,
        rules=rules,
        today=today,
        traces=traces,
        read_only=read_only,
        cap_usd=cap_usd,
        folder=folder,
        demo=demo,
    )


def _makers(
    bench: Bench,
    strategies: Sequence[str | Strategy] | None,
    rules: str | Path | None,
    today: str | Path | None,
    traces: str | Path | None,
    *,
    read_only: bool,
    cap_usd: float | None,
    folder: str | Path | None,
    demo: bool,
) -> dict[str, Make]:
    def compared() -> Callable[[], Panel]:
        chosen = strategies
        if chosen is None:
            router = [] if today is None else [Decisions(today)]
            chosen = [*router, "rules" if rules is None else RulesFile(rules)]
        return partial(ComparePanel, bench.compare(chosen, seeds=(_SEED,)), demo=demo)

    makers: dict[str, Make] = {"Compare": compared}
    if today is not None:
        makers["Today"] = lambda: partial(TodayPanel, stand(bench, today, rules=rules))
    if traces is not None:
        makers["Production"] = lambda: prepared(traces, rules, None if rules is None else bench.outcomes())
    makers["Tune"] = lambda: partial(tuner, bench, read_only=read_only, folder=folder)
    makers["Run"] = lambda: partial(live, bench, read_only=read_only, cap_usd=cap_usd)
    makers["Browse"] = lambda: partial(browse, bench, rules)
    if not read_only:
        makers["Grade"] = lambda: partial(_Reception, bench)
    return makers


class _Reception(Panel):
    """Asks who grades, and what, before anything is drawn."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._who = widgets.Text(description="Who grades", placeholder="a name", style={"description_width": "initial"})
        self._what = widgets.ToggleButtons(options=list(_RATES), style={"button_width": "auto"})
        begin = widgets.Button(description="Begin", button_style="primary", tooltip="goes on where this name left off")
        begin.on_click(lambda _button: self._begin())
        super().__init__(title=f"Grade: {bench.suite.name}", children=[self.row(self._who, self._what, begin)])
        self.reading = "People grade answers without knowing whose they are; the same name goes on where it left off."
        self._box = widgets.VBox([self.widget], layout=widgets.Layout(width="100%"))

    def code(self) -> str:
        """The Python that gives the same."""
        who = self._who.value.strip() or "me"
        return f"rb.grader(bench, {who!r}, kind={_RATES[self._what.value]!r})"

    def inside(self) -> widgets.Box:
        """Returns the questions, in whose place the grader comes whole."""
        return self._box

    def _begin(self) -> None:
        self.clear()
        who = self._who.value.strip()
        if not who:
            self.refuse("Nobody is named", "write a name; grades are kept under it")
            return
        try:
            self.result = grader(self._bench, who, kind=_RATES[self._what.value])  # type: ignore[arg-type]
        except RoutebenchError as error:
            self.refuse(error)
            return
        self._box.children = (self.result.inside(),)


def _reading(bench: Bench, *, read_only: bool, cap_usd: float | None) -> str:
    about = f"{len(bench.suite):,} cases, {len(bench.models)} models."
    if read_only:
        return f"{about} This page only shows: nothing is sent, written or exported from it."
    if cap_usd is not None:
        return f"{about} All runs from this page together cost at most ${cap_usd:g}."
    return about
