"""The priced plan: what every model would be asked, and what that costs as far as anybody can know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from routebench.dash.format import UNKNOWN, money
from routebench.providers import model_key
from routebench.run import Plan, PlanLine
from routebench.store import Store, mean_costs_usd

PRICED_COLUMNS = ("model", "for", "known", "to send", "input tokens", "expected", "at most", "time", "price")


@dataclass(frozen=True, slots=True)
class Priced:
    """A plan with what its calls may cost.

    Attributes:
        plan: the plan.
        means_usd: model name -> what its answers in the store cost on average, and how many those are.
    """

    plan: Plan
    means_usd: Mapping[str, tuple[float, int]]

    @classmethod
    def of(cls, plan: Plan, store: Store) -> Priced:
        """Looks up what answers of the same models have cost before."""
        keys = {model.name: model_key(model) for model in plan.models}
        known = mean_costs_usd(store, list(keys.values()))
        return cls(plan, {name: known[key] for name, key in keys.items() if key in known})

    @property
    def n_calls(self) -> int:
        """What would be sent, judges included."""
        return sum(line.calls for line in self.plan.lines)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose calls have no known bound of cost."""
        lines = self.plan.lines
        return tuple(dict.fromkeys(line.name for line in lines if line.calls and line.cost_high_usd is None))

    @property
    def reading(self) -> str:
        """The plan in a sentence."""
        plan = self.plan
        if not self.n_calls:
            return f"Nothing to run: {plan.n_cells:,} cells are known. Spend $0."
        high = plan.cost_high_usd
        bound = (
            f"the most that {', '.join(self.unpriced)} can cost is unknown"
            if high is None
            else f"at most {money(high)}, retries aside"
        )
        return f"{self.n_calls:,} calls to send, {plan.known:,} of {plan.n_cells:,} cells are known; {bound}."

    def expected(self, line: PlanLine) -> str:
        """What a line is expected to cost: by the mean of earlier answers, else between its bounds."""
        if not line.calls:
            return money(0)
        if line.name in self.means_usd and line.purpose == "answer":
            mean, number = self.means_usd[line.name]
            return f"~{money(line.calls * mean)} (as {number:,} before)"
        if line.cost_low_usd is None:
            return f"{UNKNOWN} ({'no price' if line.price_source is None else 'never asked before'})"
        return f"from {money(line.cost_low_usd)}"

    def rows(self) -> Sequence[tuple[str | float | None, ...]]:
        """Rows of PRICED_COLUMNS, a model and purpose each: finished texts, and times in seconds."""
        return [
            (
                line.name,
                line.purpose,
                f"{line.answered + line.kept_errors:,}/{line.cells:,}",
                f"{line.calls:,}",
                f"{line.input_tokens:,}",
                self.expected(line),
                money(line.cost_high_usd) if line.cost_high_usd is not None else f"{UNKNOWN} (no bound)",
                line.time_s,
                _price(line),
            )
            for line in self.plan.lines
        ]


def _price(line: PlanLine) -> str:
    if line.price_source is None:
        return f"{UNKNOWN} (no price)"
    return line.price_source if line.price_date is None else f"{line.price_source}, {line.price_date}"
