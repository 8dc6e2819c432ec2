"""Why a typed prompt goes where it goes, by the rule set of the setting."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.errors import InputError
from routebench.rules import Router, RuleSet


class Why:
    """A prompt, tags, and what the rule set of the setting decides.

    Attributes:
        widget: all of it.
    """

    def __init__(self) -> None:
        self.prompt = widgets.Textarea(
            placeholder="type a prompt",
            description="prompt",
            layout=widgets.Layout(width="100%", height="5em"),
            style={"description_width": "initial"},
        )
        self.tags = widgets.Text(
            placeholder="comma between them",
            description="tags",
            style={"description_width": "initial"},
            tooltip="what the application tells of the request",
        )
        self.ask = widgets.Button(
            description="Why?", tooltip="decide this prompt as the file would", layout=widgets.Layout(width="auto")
        )
        self.answer = widgets.HTML()
        self.widget = widgets.VBox([self.prompt, Panel.row(self.tags, self.ask), self.answer])

    def on_ask(self, told: Callable[[], None]) -> None:
        """Calls this when somebody asks."""
        self.ask.on_click(lambda _button: told())

    def explain(self, ruleset: RuleSet) -> None:
        """Shows what a rule set decides about the prompt.

        Raises:
            InputError: nothing was typed.
            NoEligibleModelError: guards and limits leave no model.
        """
        text = self.prompt.value
        if not text.strip():
            raise InputError("no prompt is typed; type one, and ask again")
        tags = tuple(tag.strip() for tag in self.tags.value.split(",") if tag.strip())
        decision = Router(ruleset).explain([{"role": "user", "content": text}], tags=tags)
        checked = "" if decision.cascade is None else f" Each answer is checked by {decision.cascade}."
        other = "".join(f"<li>{html.escape(one)}</li>" for one in decision.counterfactuals)
        self.answer.value = (
            f"<p><strong>{html.escape(' > '.join(decision.chain))}</strong>, by {html.escape(decision.rule)}: "
            f"{html.escape(decision.why)}.{html.escape(checked)}</p>{f'<ul>{other}</ul>' if other else ''}"
        )
