"""What a comparison found, in sentences that say no more than the statistics allow."""

from __future__ import annotations

import numpy as np

from routebench.evaluate.comparison import Comparison
from routebench.evaluate.evaluation import Evaluation
from routebench.evaluate.intervals import Interval
from routebench.evaluate.paired import Difference
from routebench.evaluate.power import false_winner_probability, minimum_detectable
from routebench.evaluate.sentence import Sentence, signed_points

_MANY_TRIES = 4
_LOW_SHARE = 0.98
_NOTHING = 0.0005
_MOSTLY = 0.5
_USUAL_DISCORDANCE = 0.1
_WORDS = {
    "better": "better than",
    "worse": "worse than",
    "no_worse": "no worse than",
    "cannot_tell": "not distinguishable from",
    "too_few": "not to be told from (too few cases or groups differ)",
}


def read(comparison: Comparison) -> tuple[Sentence, ...]:
    """Returns the sentences about a comparison, the most important first."""
    sentences: list[Sentence] = []
    if comparison.today is not None:
        sentences.append(_today(comparison, comparison.today))
    pick = comparison.pick
    sentences.append(found(comparison, pick))
    if pick is not None:
        sentences += [*_costs(pick, comparison.baseline), *_slice(comparison, pick)]
    sentences += [*_power(comparison), *_tries(comparison), *_missing(comparison), *_judge(comparison)]
    sentences += [*_noise(comparison), *_caching(comparison), *_weights(comparison)]
    return tuple(sentences)


def _today(comparison: Comparison, today: Evaluation) -> Sentence:
    model = today.most_sent(comparison.models)
    about = f"the cheapest model, {model}" if model == comparison.cheapest_model else model
    name = today.first.label or today.name
    text = f"The router of today ({name}) sends {today.largest_share:.0%} of the requests to {about}"
    text += ": hardly anything is decided." if today.constant else "."
    against = today.versus_fixed_mix
    if against is not None:
        if against.verdict == "worse":
            text += f" A fixed mix at the same cost does better: {points(against)} for today's router."
        elif _earns(against):
            text += f" It beats a fixed mix at the same cost by {points(against)}."
        elif against.verdict in ("better", "no_worse") or abs(against.delta) < _NOTHING:
            text += f" A fixed mix at the same cost does as well ({points(against)} for today's router)."
        else:
            text += f" It cannot be told from a fixed mix at the same cost ({points(against)})."
    pick = comparison.pick
    if pick is not None:
        versus = comparison.between(pick.name, today.name, tries=len(comparison.candidates))
        text += f" {pick.name} is {_WORDS[versus.verdict]} it: {points(versus)}"
        change = comparison.cost_between(pick.name, today.name)
        text += "." if change is None else f", at {_cheaper(change)}."
    return Sentence("today", text, grave=today.constant or (against is not None and not _earns(against)))


def _earns(against: Difference) -> bool:
    """Whether a router beats a mix by more than rounds to nothing: a near-constant one may surely, by that."""
    return against.verdict == "better" and against.delta >= _NOTHING


def found(comparison: Comparison, pick: Evaluation | None) -> Sentence:
    """Returns what a comparison says of one candidate, against the baseline and the fixed mix at its own cost."""
    base = comparison[comparison.baseline]
    if len(comparison.models) == 1:
        text = f"{comparison.models[0]} alone scores {base.shown_quality:.1%}; add a second model to compare."
        return Sentence("best", text, grave=True)
    if pick is None or pick.versus_baseline is None:
        cost = base.cost_usd_per_1k
        price = "at an unknown cost" if cost is None else f"for ${cost:.3g} per 1,000 requests"
        return Sentence("best", f"{base.name} scores {base.quality:.1%} {price}; no candidate was compared with it.")
    versus = pick.versus_baseline
    if pick.is_the_baseline:
        return Sentence(
            "best",
            f"No candidate is better than {base.name}; {pick.name} scores and costs the same on every case.",
            grave=True,
        )
    text = f"{pick.name} is {_WORDS[versus.verdict]} {base.name}: {points(versus)} on {versus.n} held-out cases"
    if pick.cost_versus_baseline is not None:
        text += f", at {_cheaper(pick.cost_versus_baseline)}"
    mix = pick.versus_fixed_mix
    if mix is not None:
        text += f"; it is {_WORDS[mix.verdict]} the fixed mix at its own cost: {points(mix)}"
    return Sentence("best", f"{text}.", grave=versus.verdict == "worse")


def _costs(pick: Evaluation, baseline: str) -> list[Sentence]:
    cached = pick.cached
    if cached is None or cached.change is None:
        return []
    text = f"With {cached.hit_rate:.0%} of the input read from the provider's cache it is {_cheaper(cached.change)}"
    if cached.change_if_lost is not None:
        text += (
            f"; if moving between models lost it every hit while {baseline} keeps its own, "
            f"{_cheaper(cached.change_if_lost)}"
        )
    grave = cached.change_if_lost is not None and cached.change_if_lost.mean > 0
    return [Sentence("cost", f"{text}.", grave=grave)]


def _slice(comparison: Comparison, pick: Evaluation) -> list[Sentence]:
    worst = pick.worst_slice
    if worst is None:
        return []
    if worst.delta >= 0:
        return []
    interval = _interval(worst.ci95)
    about_it = "interval simultaneous over the slices" if worst.ci95 else "too few of them differ for an interval"
    about = "the only slice" if worst.n_slices == 1 else f"the worst of {worst.n_slices} slices"
    text = (
        f"{worst.name} is {about} with enough cases: {signed_points(worst.delta)} pt{interval} against "
        f"{comparison.baseline} (n={worst.n}, {about_it})."
    )
    if worst.n_too_small:
        text += f" {worst.n_too_small} slices are too small to judge."
    return [Sentence("slice", text, grave=worst.ci95 is not None and worst.ci95[1] < 0)]


def _power(comparison: Comparison) -> list[Sentence]:
    pick = comparison.pick
    if pick is None or pick.versus_baseline is None or not pick.versus_baseline.n:
        return []
    versus = pick.versus_baseline
    count = len(comparison.candidates)
    # Where too few differ, nothing tells how much another candidate would.
    assumed = "" if versus.estimate is not None else f", if {_USUAL_DISCORDANCE:.0%} of the cases differed"

    def see(comparisons: int) -> float:
        found = versus.detectable(comparisons)
        return minimum_detectable(versus.n, _USUAL_DISCORDANCE, comparisons) if found is None else found

    if see(count or 1) > 1:
        return [Sentence("power", f"{versus.n} paired cases are too few to see any difference.", grave=True)]
    text = f"With {versus.n} paired cases you can see {100 * see(1):.1f} points"
    if count > 1:
        text += f" alone, {100 * see(count):.1f} as one of {count}"
    return [Sentence("power", f"{text} (80 % power{assumed}).")]


def _tries(comparison: Comparison) -> list[Sentence]:
    count = len(comparison.candidates)
    if count < _MANY_TRIES:
        return []
    return [
        Sentence(
            "tries",
            f"{count} candidates were tried on one test half: unadjusted, about {false_winner_probability(count):.0%} "
            "of such comparisons find a winner where there is none. The verdicts are adjusted (Holm, max-T); settle "
            "on one candidate before you look again.",
            grave=True,
        )
    ]


def _missing(comparison: Comparison) -> list[Sentence]:
    sentences = []
    if comparison.n_left_out:
        lacking = ", ".join(f"{name} lacks {count}" for name, count in comparison.lacking.items())
        sentences.append(
            Sentence(
                "missing",
                f"Compared on {comparison.n_test} complete cases; {comparison.n_left_out} were left out "
                f"({lacking or 'decisions are missing'}).",
                grave=comparison.n_left_out > comparison.n_test,
            )
        )
    sentences += [*_kept_back(comparison), *_failing(comparison), *_unpriced(comparison)]
    thin = [one for one in comparison.candidates if one.first.cells_share < _LOW_SHARE]
    sentences += [
        Sentence("missing", f"{one.name} rests on {one.first.cells_share:.0%} of the cells that it asks for.")
        for one in thin
    ]
    return sentences


def _kept_back(comparison: Comparison) -> list[Sentence]:
    found = []
    if comparison.n_without_text == comparison.n_cases:
        text = "No prompt is kept here: strategies that read prompts can be compared with --prompts FILE."
        found.append(Sentence("missing", text))
    elif comparison.n_without_text:
        count = comparison.n_without_text
        text = f"{count} cases are left out because their prompts are not kept any more."
        found.append(Sentence("missing", text, grave=True))
    if comparison.n_sealed:
        text = f"{comparison.n_sealed} more cases are sealed: only `check --final` looks at them."
        found.append(Sentence("missing", text))
    return found


def _failing(comparison: Comparison) -> list[Sentence]:
    models = [one for one in comparison.evaluations if one.kind == "model" and one.failed_share > _MOSTLY]
    told = ", ".join(f"{one.name.removeprefix('always:')} {one.failed_share:.0%}" for one in models)
    if not told:
        return []
    return [Sentence("missing", f"Requests without an answer, scored 0: {told}.", grave=len(models) > 1)]


def _unpriced(comparison: Comparison) -> list[Sentence]:
    unknown = {
        one.name.removeprefix("always:"): int(np.isnan(one.first.replayed.cost_usd).sum())
        for one in comparison.evaluations
        if one.kind == "model"
    }
    told = ", ".join(f"{name} on {count}" for name, count in unknown.items() if count)
    return (
        [Sentence("missing", f"Cost unknown: {told} of {comparison.n_test} held-out cases.", grave=True)]
        if told
        else []
    )


def _judge(comparison: Comparison) -> list[Sentence]:
    if comparison.agreement is None:
        return []
    checked = "not checked" not in comparison.agreement
    return [Sentence("judge", f"Scores rest on a {comparison.agreement}.", grave=not checked)]


def _noise(comparison: Comparison) -> list[Sentence]:
    pick = comparison.pick or comparison[comparison.baseline]
    if pick.noise_share is None:
        return [
            Sentence("noise", "One answer a cell: how much of the intervals is noise of the answers is unmeasured.")
        ]
    return [Sentence("noise", f"{pick.noise_share:.0%} of the intervals' variance is noise of the answers.")]


def _caching(comparison: Comparison) -> list[Sentence]:
    if comparison.cache_hit_rate is not None:
        return []
    pick = comparison.pick
    if pick is None or comparison.half.test.cacheable_usd is None:
        return [Sentence("caching", "Costs are without prompt caching: what cached input costs is not known here.")]
    rate = pick.break_even_hit_rate
    text = "Costs are without prompt caching"
    if rate is not None:
        text += (
            f"; the saving would be gone if {comparison.baseline} read {rate:.0%} of its input from the cache and "
            f"{pick.name}, moving between models, none"
        )
    return [Sentence("caching", f"{text}. --cache-hit-rate R prices it.")]


def _weights(comparison: Comparison) -> list[Sentence]:
    weight = comparison.half.test.weight
    if (weight == weight[:1]).all():
        return [Sentence("weights", "Every case counts alike: this holds if your traffic looks like this suite.")]
    return [Sentence("weights", "Cases are weighted by the requests that they stand for.")]


def points(one: Difference) -> str:
    """`+1.2 pt [+0.3, +2.1]`, the interval simultaneous where several were compared.

    Where the interval does not show the verdict, the test that it rests on is named.
    """
    test = " by Holm's test" if one.by_test_alone else ""
    return f"{signed_points(one.delta)} pt{_interval(one.ci95_simultaneous or one.ci95)}{test}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f" [{signed_points(bounds[0])}, {signed_points(bounds[1])}]"


def _cheaper(change: Interval) -> str:
    """`47 % less cost [45, 49]`."""
    word = "more" if change.mean > 0 else "less"
    if change.ci95 is None:
        return f"{abs(change.mean):.0%} {word} cost"
    low, high = sorted((abs(change.ci95[0]), abs(change.ci95[1])))
    if change.ci95[0] < 0 < change.ci95[1]:
        return f"{change.mean:+.0%} cost [{change.ci95[0]:+.0%}, {change.ci95[1]:+.0%}]"
    return f"{abs(change.mean):.0%} {word} cost [{100 * low:.0f}, {100 * high:.0f}]"
