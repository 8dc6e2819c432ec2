"""The whole of tuning in one go: learned, chosen, and measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from routebench.classes import Protection
from routebench.evaluate import Outcomes, Strategy
from routebench.tune.constraints import Constraints
from routebench.tune.forms import Target
from routebench.tune.golden import GoldenSource
from routebench.tune.learning import learn
from routebench.tune.measuring import finish
from routebench.tune.tuned import Tuned
from routebench.types import Model


def tune(
    outcomes: Outcomes,
    models: Sequence[Model],
    constraints: Constraints,
    *,
    name: str,
    guards: Sequence[Mapping[str, Any]] = (),
    protections: Sequence[Protection] = (),
    golden: GoldenSource = "suite",
    target: Target = "gateway",
    seed: int = 42,
    created: date,
    beside: Sequence[Strategy] = (),
) -> Tuned:
    """Chooses a rule set and measures it.

    Every form that a rules.yaml can take is learned on the training half of the split, for many trades of quality
    against cost. Of each the operating point that meets the constraint best out of fold is taken, and of those the best
    one, or a more readable one that is worth nearly as much. It is used if prompts tell models apart beyond
    chance and it beats the fixed mix of two models at its own cost; else the mix is what comes out. The test half is
    looked at once, with the rule set as its file reads.

    Args:
        outcomes: the matrix.
        models: settings of the models, weakest first.
        constraints: what is asked.
        name: of the rule set.
        guards: guards in the form of a rules.yaml, which the rule set must carry.
        protections: classes of requests that must not go below the models that somebody named for them.
        golden: where the golden prompts come from; of the suite only cases tagged `public` are written down, of others
            a digest and the features.
        target: where the rule set will run: forms that need more than a base install there are left out for a gateway.
        seed: of the split.
        created: the day that the evidence says.
        beside: bars to measure it against besides the baselines, such as the decisions of the router of today.

    Raises:
        InputError: a guard names a model that there is not.
        OutcomesError: there are too few cases.
    """
    study = learn(
        outcomes,
        models,
        name=name,
        guards=guards,
        protections=protections,
        max_rules=constraints.max_rules,
        target=target,
        seed=seed,
    )
    return finish(study, study.choose(constraints), constraints, created=created, golden=golden, beside=beside)
