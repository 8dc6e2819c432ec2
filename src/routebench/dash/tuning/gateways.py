"""The tuner's way to other gateways: a target, what is lost on the way, the file, and a trial of the real product."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.gateway_form import GatewayForm
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.work import Start, Work
from routebench.errors import InputError
from routebench.export.naming import read_names

_TARGETS = (
    ("LiteLLM", "litellm", "litellm.yaml"),
    ("Portkey", "portkey", "portkey.json"),
    ("vLLM Semantic Router", "vllm-sr", "vllm-sr.yaml"),
    ("OpenRouter", "openrouter", "openrouter.json"),
)
_LABELLED: dict[str, Any] = {"style": {"description_width": "initial"}}
_NARROW = {"width": "auto"}
_PLAIN = ("/", "\\", "\0")


class Gateways:
    """A target, and what becomes of the setting there.

    Args:
        panel: says what happens and what cannot be done.
        start: begins what takes its time.
        read_only: whether nothing may be written and no product started.
        folder: the only one that a page may write into, under a plain name; None where any path will do.

    Attributes:
        widget: all of it.
        form: the latest export; None before it.
    """

    def __init__(self, panel: Panel, *, start: Start, read_only: bool, folder: Path | None) -> None:
        self._panel, self._read_only, self._folder = panel, read_only, folder
        self._work = Work(start, panel.refuse)
        self.form: GatewayForm | None = None
        self.target = widgets.Dropdown(
            options=[(title, name) for title, name, _ in _TARGETS], description="gateway", **_LABELLED
        )
        self.path = widgets.Text(value=_TARGETS[0][2], description="to write", **_LABELLED)
        self.replace = widgets.Checkbox(value=False, description="replace what is there", indent=False, layout=_NARROW)
        self.lost = widgets.Checkbox(value=False, description="guards may be lost", indent=False, layout=_NARROW)
        self.names = widgets.Text(
            placeholder="small=openai/gpt-4o-mini, large=…",
            description="models there",
            tooltip="what the gateway calls a model, where that cannot be told from it",
            layout=widgets.Layout(width="26em"),
            **_LABELLED,
        )
        self.shown = _button("Show", "what this gateway makes of the setting, and what the loss does")
        self.written = _button("Write", "the files, with what is lost in their heading", "primary")
        self.proved = _button("Prove", "start the real product on loopback and compare where it sends prompts")
        self._told, self._preview = widgets.HTML(), widgets.HTML()
        where = widgets.Label("" if folder is None else f"written into {folder}")
        self.widget = widgets.VBox(
            [
                Panel.row(self.target, self.names, self.lost, self.shown),
                *([] if read_only else [Panel.row(self.path, where, self.replace, self.written, self.proved)]),
                self._told,
                self._preview,
            ]
        )
        self.target.observe(lambda change: self._named(str(change["new"])), "value")
        self._allow()

    def wire(self, asked: Callable[[Callable[[Tuning], None]], None]) -> None:
        """Connects the buttons with the setting of the moment.

        Args:
            asked: does something with the setting; what cannot be done is said.
        """
        self.shown.on_click(lambda _button: asked(lambda tuning: self._begin(lambda: self.show(tuning))))
        self.written.on_click(lambda _button: asked(lambda _tuning: self._save()))
        self.proved.on_click(lambda _button: asked(lambda _tuning: self._begin(self.prove)))

    def show(self, tuning: Tuning) -> GatewayForm:
        """Shows what the target makes of the setting.

        Raises:
            RulesError: it cannot be written there, or a guard would be lost.
        """
        self._panel.say(f"writing it for {self.target.label}, and replaying that …")
        study = tuning.study
        ruleset = study.ruleset(tuning.found, tuning.constraints)
        train = study.outcomes.take(study.inside)
        told = (one for one in str(self.names.value).split(",") if one.strip())
        names = read_names(told, study.frame.models)
        lost = bool(self.lost.value)
        self.form = GatewayForm.of(str(self.target.value), ruleset, train, names=names, allow_lost_guards=lost)
        self._draw()
        self._panel.say(f"this is what {self.target.label} makes of the setting; not verified")
        return self.form

    def prove(self) -> GatewayForm:
        """Runs the real product.

        Raises:
            InputError: nothing is shown yet, or the page is read-only.
            MissingDependencyError: the product is not installed.
        """
        form = self._ready()
        self._panel.say(f"starting {form.target.title} …")
        self.form = form.proved()
        self._draw()
        self._panel.say("proved; write the file again to keep that in its heading")
        return self.form

    def write(self) -> tuple[Path, ...]:
        """Writes the files of what is shown.

        Raises:
            InputError: nothing is shown yet, the page is read-only, or something is there already.
        """
        form = self._ready()
        name = str(self.path.value).strip()
        if not name or (self._folder is not None and any(sign in name for sign in _PLAIN)) or name.startswith("."):
            raise InputError(f"{name!r} names no file here; give a plain name such as {_TARGETS[0][2]}")
        path = Path(name) if self._folder is None else self._folder / name
        files = form.write(path, replace=bool(self.replace.value))
        self._panel.say(f"Written: {', '.join(str(one) for one in files)}")
        return files

    def _save(self) -> None:
        self.write()

    def _ready(self) -> GatewayForm:
        if self._read_only:
            raise InputError("this page is read-only; open the tuner in a notebook")
        if self.form is None:
            raise InputError("nothing is shown yet; press Show first")
        return self.form

    def _begin(self, work: Callable[[], object]) -> None:
        self.shown.disabled = self.written.disabled = self.proved.disabled = True

        def do() -> None:
            try:
                work()
            finally:
                self._allow()

        self._work.begin(do)

    def _allow(self) -> None:
        self.shown.disabled = False
        self.written.disabled = self.proved.disabled = self.form is None

    def _named(self, target: str) -> None:
        self.form = None
        self._told.value = self._preview.value = ""
        self.path.value = next(file for _, name, file in _TARGETS if name == target)
        self._allow()

    def _draw(self) -> None:
        form = self.form
        assert form is not None
        head = "nothing is lost" if form.lossless else f"{len(form.exported.lost)} parts are lost or approximated"
        rows = "".join(
            f"<tr><td>{html.escape(one.part)}</td><td>{one.how}</td><td>{html.escape(one.why)}</td>"
            f"<td>{html.escape(one.mend)}</td></tr>"
            for one in form.exported.lost
        )
        columns = "<tr><th>part</th><th>how</th><th>why</th><th>mend</th></tr>"
        table = f"<table class='rb-lost'>{columns}{rows}</table>" if rows else ""
        said = "".join(f"<li>{html.escape(one)}</li>" for one in form.effect.sentences)
        self._told.value = (
            f"<div class='rb-remark'>{html.escape(form.capability)}</div><div class='rb-told'>{head}; on the training "
            f"half:</div><ul>{said}</ul>{table}{_proof(form)}"
        )
        files = ", ".join(form.exported.files)
        self._preview.value = (
            f"<div class='rb-remark'>files: {html.escape(files)}</div>"
            f"<pre class='rb-preview'>{html.escape(form.preview)}</pre>"
        )


def _proof(form: GatewayForm) -> str:
    verified = form.verified
    if verified is None:
        return "<div class='rb-remark'>not verified</div>"
    rows = "".join(
        f"<tr><td>{html.escape(one.expected)}</td><td>{html.escape(one.actual)}</td><td>{one.n}</td></tr>"
        for one in verified.matrix
    )
    share = "n/a" if verified.agreement is None else f"{verified.agreement:.1%}"
    how = "run" if verified.how == "run" else "validated, not run"
    remarks = "".join(f"<li>{html.escape(one)}</li>" for one in verified.remarks)
    return (
        f"<div class='rb-told'>{html.escape(verified.by)} ({how}): {share} of {verified.n} prompts go where the rules "
        f"send them</div><table class='rb-lost'><tr><th>expected</th><th>actual</th><th>n</th></tr>{rows}</table>"
        f"<ul>{remarks}</ul>"
    )


def _button(label: str, help_text: str, style: str = "") -> widgets.Button:
    return widgets.Button(description=label, tooltip=help_text, button_style=style, layout=widgets.Layout(width="auto"))
