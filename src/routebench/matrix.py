"""The outcome matrix of a suite, read from a store or a pack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from routebench.errors import OutcomesError
from routebench.grade import JUDGING, flip_rate
from routebench.pricing import cache_discounts, cell_costs_usd
from routebench.store import (
    Store,
    read_case_answers,
    read_cases,
    read_content_hashes,
    read_matrix,
    read_models,
    read_ratings,
    read_said,
    read_verdicts,
)
from routebench.suites import content_hash
from routebench.types import Case, Price

if TYPE_CHECKING:
    from routebench.evaluate import Cases
    from routebench.evaluate.outcomes import Outcomes
    from routebench.grade.agreement import Agreement


def open_outcomes(
    store: Store,
    suite: str,
    *,
    models: Sequence[str] | None = None,
    prompts: Iterable[Case] | None = None,
    strict: bool = True,
    sealed: bool = False,
    prices: Mapping[str, Price] | None = None,
) -> Outcomes:
    """Reads the outcome matrix of a suite from a store: numbers at once, texts when a strategy looks at them.

    Args:
        store: where it is.
        suite: the suite's name.
        models: which, and in which order; all when left out.
        prompts: the cases with their texts, for a store that keeps none, such as a pack.
        strict: whether every case must be among the prompts and ask what it asked; else what is there is taken.
        sealed: the sealed cases, and only those; without it they are left out.
        prices: model name -> what its stored tokens are to cost; other models keep the cost that is stored.

    Raises:
        StoreError: the store holds no such suite.
        OutcomesError: it has no outcome, or the prompts are others.
    """
    import numpy as np

    from routebench.evaluate import Answers, Cases, Outcomes, Source

    known = {model.name: model for model in read_models(store, suite)}
    names = tuple(models or known)
    found = read_matrix(store, suite, names, tokens=bool(prices))
    columns = found.cases
    cases = Cases(
        ids=_texts(columns["case_id"]),
        category=_texts(columns["category"]),
        group=_texts(columns["group_key"]),
        weight=_numbers(columns["weight"]),
        stakes_usd=_numbers(columns["stakes_usd"]),
        split=_texts(columns["split"]),
        tags=np.ma.getdata(columns["tags"]),
        grader=_texts(columns["grader"]),
        has_text=np.ma.filled(columns["has_text"], fill_value=True).astype(bool),
        source=Source(lambda: read_cases(store, suite)),
    )
    if prompts is not None:
        cases = _with_prompts(cases, store, suite, prompts, strict=strict)
    cells = {name: _numbers(values) if values.dtype.kind == "f" else values for name, values in found.cells.items()}
    charged = {name: known[name].price for name in names if name in known} | dict(prices or {})
    if prices:
        cells["cost_usd"] = cell_costs_usd([prices.get(name) for name in names], cells)
    saved = _cacheable_usd([charged.get(name) for name in names], cells)
    outcomes = Outcomes.from_cells(suite, cases, names, cells if saved is None else {**cells, "cacheable_usd": saved})
    answers = Answers(
        lambda names: read_said(store, suite, names), lambda case_id: read_case_answers(store, suite, case_id)
    )
    outcomes = replace(outcomes, answers=answers)
    inside = (cases.split == "sealed") == sealed
    if sealed and not inside.any():
        raise OutcomesError(
            f"suite {suite!r} has no sealed cases; `suite from-logs` seals a fifth from 500 conversations on, and "
            "`suite: {path: …, seal: 0.2}` in a bench.yaml does so for any suite"
        )
    if not inside.all():
        outcomes = replace(outcomes.take(inside), n_sealed=int((~inside).sum()))
    agreement = _agreement(store, outcomes)
    return outcomes if agreement is None else replace(outcomes, agreement=str(agreement))


def _with_prompts(cases: Cases, store: Store, suite: str, prompts: Iterable[Case], *, strict: bool) -> Cases:
    """The cases with texts from elsewhere, which must be those that were asked."""
    import numpy as np

    from routebench.evaluate import Source

    known = read_content_hashes(store, suite)
    # Of a bench's own suite a store may still know earlier cases.
    same = {case.id: case for case in prompts if not strict or known.get(case.id) == content_hash(case)}
    lacking = [str(name) for name in cases.ids if name not in same]
    if strict and lacking:
        raise OutcomesError(
            f"the prompts are not those of suite {suite!r}: {len(lacking)} of its {len(cases)} cases are missing or "
            f"ask something else, such as {lacking[0]!r}; give the file that was run with --prompts"
        )
    there = np.array([name in same for name in cases.ids], dtype=bool)

    def read() -> list[Case]:
        held = {case.id: case for case in read_cases(store, suite)} if lacking else {}
        return [same.get(str(name)) or held[str(name)] for name in cases.ids]

    return replace(cases, has_text=cases.has_text | there, source=Source(read))


def _agreement(store: Store, outcomes: Outcomes) -> Agreement | None:
    """How far judges agree with people on the answers of a matrix; None where no judge grades."""
    import numpy as np

    from routebench.grade.agreement import Agreement

    judged = np.isin(outcomes.cases.grader, sorted(JUDGING))
    if not judged.any():
        return None
    verdicts = read_verdicts(store, outcomes.suite, sorted(JUDGING))
    names = sorted(set(verdicts["rater"].dropna()))
    name = f"judge {names[0]}" if len(names) == 1 else f"judge ({', '.join(names)})" if names else "judge"
    flips = flip_rate(verdicts["detail"][verdicts["grader"] == "pairwise"])
    if outcomes.human is None:
        return Agreement(name, flip_rate=flips)
    ratings = read_ratings(store, outcomes.suite).pivot_table(index="rater", columns="answer", values="score")
    score = outcomes.score[judged]
    return Agreement.of(
        score.ravel(),
        outcomes.human[judged].ravel(),
        name=name,
        groups=np.repeat(outcomes.keys[judged], score[0].size),
        chance=None if outcomes.human_chance is None else _chances(outcomes, judged),
        raters=ratings.to_numpy() if len(ratings) > 1 else None,
        flip_rate=flips,
    )


def _chances(outcomes: Outcomes, judged: Any) -> Any:
    """The chance of every judged answer to be drawn for people, in the order of a flattened matrix."""
    import numpy as np

    from routebench.evaluate.judged import complete_chance

    assert outcomes.human is not None
    assert outcomes.human_chance is not None
    score, human, chance = (
        values[judged].ravel() for values in (outcomes.score, outcomes.human, outcomes.human_chance)
    )
    open_ = ~np.isnan(score)
    return complete_chance(chance, open_ & ~np.isnan(human), open_, np.ones(len(score)))


def _cacheable_usd(prices: Sequence[Price | None], cells: Mapping[str, Any]) -> Any:
    """What each cell's call would save with all of its input cached, NaN while unknown; None where all of it is."""
    import numpy as np

    if not any(rate for price in prices for _, rate in cache_discounts(price)):
        return None
    tokens, saved = cells["input_tokens"], np.full(len(cells["model"]), np.nan)
    for place, price in enumerate(prices):
        own = cells["model"] == place
        for above, usd_per_token in cache_discounts(price):
            rows = own & (tokens > above) if above else own
            saved[rows] = np.nan if usd_per_token is None else usd_per_token * tokens[rows]
    return None if np.isnan(saved).all() else saved


def _texts(values: Any) -> Any:
    """Texts of a column; NULL becomes an empty string."""
    import numpy as np

    if np.ma.getmaskarray(values).all():
        return np.full(len(values), "")
    return np.ma.filled(values, "").astype(str)


def _numbers(values: Any) -> Any:
    """Numbers of a column; NULL becomes NaN."""
    import numpy as np

    return np.ma.filled(values, np.nan)
