"""Cases of two matrices as one: some to train on, the others to be measured on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.cases import Cases, Source
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.outcomes import Outcomes


def train_and_test(train: Outcomes, test: Outcomes) -> Outcomes:
    """Returns one matrix whose own split says which cases are which: every seed then gives this split.

    What is chosen on train, such as the best single model, is so chosen on cases of one matrix and measured on those
    of the other, as `compare` does it for any split.

    Raises:
        OutcomesError: they are not of the same models and samples, or share a case.
    """
    if train.models != test.models or train.status.shape[1:] != test.status.shape[1:]:
        raise OutcomesError(f"suite {test.suite!r}: the cases to train on were asked of other models or samples")
    both = np.intersect1d(train.cases.ids, test.cases.ids)
    if len(both):
        raise OutcomesError(f"suite {test.suite!r}: case {str(both[0])!r} would be trained on and measured on")
    return replace(
        test,
        cases=_cases(train.cases, test.cases),
        status=np.concatenate([train.status, test.status]),
        score=np.concatenate([train.score, test.score]),
        cost_usd=np.concatenate([train.cost_usd, test.cost_usd]),
        latency_s=np.concatenate([train.latency_s, test.latency_s]),
        cacheable_usd=_both(train.cacheable_usd, test.cacheable_usd),
        human=_both(train.human, test.human),
        human_chance=_both(train.human_chance, test.human_chance),
        n_sealed=0,
    )


def _both(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def _cases(train: Cases, test: Cases) -> Cases:
    columns = ("ids", "category", "group", "weight", "stakes_usd", "tags", "grader", "has_text")
    return replace(
        test,
        **{name: np.concatenate([getattr(train, name), getattr(test, name)]) for name in columns},
        split=np.array(["train"] * len(train) + ["test"] * len(test)),
        source=Source(lambda: (*train, *test)),
    )
