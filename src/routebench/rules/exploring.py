"""Exploration: a small share of requests goes to a model that was drawn, so that its answers can be learned from.

Logs of a policy that always decides the same say nothing of what another model would have answered. With a known chance
for every first choice they do (inverse propensity weighting; Horvitz and Thompson, 1952).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from routebench.rules.contents import BUDGET, NAMED, STICKY
from routebench.types import Decision

_BOUND = frozenset({BUDGET, NAMED, STICKY})
"""Who decides by these is bound: to the caller's word, to a conversation, to what is left of the money."""


def explored(
    decision: Decision, pool: Sequence[str], share: float, drawn: float, keep: Callable[[str], bool]
) -> Decision:
    """Returns the decision, for a share of requests with a first model that is drawn evenly from those that may be.

    Args:
        decision: what the policy says.
        pool: the models that limits and guards allow and that are well.
        share: how much is explored.
        drawn: a number in [0, 1), drawn anew for every request.
        keep: whether a client may use a model.
    """
    pool = [name for name in pool if keep(name)]
    if share <= 0 or decision.rule in _BOUND or decision.model is None or len(pool) < 2:
        return decision
    each = share / len(pool)
    if drawn >= share:
        chance = 1 - share + (each if decision.model in pool else 0.0)
        return replace(decision, propensity=chance)
    # Divided by itself a share may come out as one.
    chosen = pool[min(int(drawn / each), len(pool) - 1)]
    chance = each + (1 - share if chosen == decision.model else 0.0)
    if chosen == decision.model:
        return replace(decision, explored=True, propensity=chance)
    # What was drawn is to be seen by itself: its answer is not held back by the check of another chain.
    chain = (chosen, *(name for name in decision.chain if name != chosen))
    return replace(decision, chain=chain, cascade=None, explored=True, propensity=chance)
