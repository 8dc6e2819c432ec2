"""What the comparison of two rule sets found, in sentences that say no more than the statistics allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from routebench.evaluate.intervals import Interval
from routebench.evaluate.moving import Moved
from routebench.evaluate.reading import points
from routebench.evaluate.sentence import Sentence, signed_points
from routebench.rules.comparing.loosening import Loosening

_FLOWS_SHOWN = 4
_MANY_LEFT_OUT = 0.1
_WORDS = {
    "better": "better than the old rules",
    "worse": "worse than the old rules",
    "no_worse": "no worse than the old rules",
    "cannot_tell": "not distinguishable from the old rules",
    "too_few": "not to be told from the old rules, too few cases differ",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """Cases on which the new guards admit a model that the old ones did not.

    Attributes:
        n: how many there are.
        n_suite: cases that were looked at.
        cases: ids of the first of them.
        models: what is admitted, weakest first.
    """

    n: int
    n_suite: int
    cases: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """Which cases count.

    Attributes:
        n_suite: cases of the suite.
        n: those that count.
        seeds: of the splits whose training halves are left out.
        outcomes_changed: whether outcomes or texts are other ones than a rule set was tuned on.
        n_sealed: cases that are kept back for a last look, beside those of the suite.
        n_without_text: cases whose prompts are not kept any more, likewise.
        agreement: how far the judge agrees with people, in words; None where no judge graded.
    """

    n_suite: int
    n: int
    seeds: tuple[int, ...]
    outcomes_changed: bool = False
    n_sealed: int = 0
    n_without_text: int = 0
    agreement: str | None = None


def read(
    moved: Moved,
    loosened: Sequence[Loosening],
    opened: Opened,
    replaced: Sequence[str],
    changes: Sequence[str],
    used: Used,
    *,
    has_guards: bool,
) -> tuple[Sentence, ...]:
    """Returns the sentences, those about guards first and the changes of the file last."""
    return (
        *_guards(loosened, opened, replaced, has_guards=has_guards),
        _moves(moved),
        *_refused(moved),
        _quality(moved),
        _cost(moved),
        _latency(moved),
        *_slice(moved),
        *_cases(moved, used),
        *(Sentence("file", f"{sentence}.") for sentence in changes or ("the files decide alike",)),
    )


def _guards(
    loosened: Sequence[Loosening], opened: Opened, replaced: Sequence[str], *, has_guards: bool
) -> Iterator[Sentence]:
    for one in loosened:
        yield Sentence("guards", f"Loosened: {one.sentence}.", grave=True)
    if opened.n:
        shown = ", ".join(opened.cases)
        yield Sentence(
            "guards",
            f"On {opened.n} of {opened.n_suite} cases of the suite the guards now admit {', '.join(opened.models)}, "
            f"which they did not: {'such as ' if opened.n > len(opened.cases) else ''}{shown}.",
            grave=True,
        )
    elif loosened:
        yield Sentence("guards", f"None of the {opened.n_suite} cases of the suite shows it.")
    if has_guards and not loosened:
        yield Sentence("guards", "No guard was loosened.")
    if replaced:
        verb = "is another model" if len(replaced) == 1 else "are other models"
        text = f"{', '.join(replaced)}, which guards name, {verb} now; whether it may stand there no file can tell."
        yield Sentence("guards", text, grave=True)


def _moves(moved: Moved) -> Sentence:
    if not moved.n_chain:
        return Sentence("moves", f"None of {moved.n} cases moves.")
    later = moved.n_chain - moved.n_first
    after = f"{later} {'more change' if moved.n_first else 'of them change'} only what is tried after a failure"
    if not moved.n_first:
        return Sentence("moves", f"None of {moved.n} cases moves; {after}.")
    shown = [
        f"{one.n} from {one.before or 'no model'} to {one.after or 'no model'}" for one in moved.flows[:_FLOWS_SHOWN]
    ]
    rest = sum(one.n for one in moved.flows[_FLOWS_SHOWN:])
    text = f"{moved.n_first} of {moved.n} cases move"
    if abs(moved.requests_first / moved.requests - moved.n_first / moved.n) > 1e-9:
        text += f", {moved.requests_first / moved.requests:.1%} of the requests"
    text += f": {', '.join(shown)}" + (f", {rest} otherwise" if rest else "")
    return Sentence("moves", text + (f"; {after}." if later else "."))


def _refused(moved: Moved) -> Iterator[Sentence]:
    before, after = moved.refused
    if before or after:
        text = f"Guards and limits leave {after} of {moved.n} cases without a model ({before} before); they score 0."
        yield Sentence("moves", text, grave=after > before)


def _quality(moved: Moved) -> Sentence:
    one = moved.scores
    if moved.quality is None:
        return Sentence("quality", "Quality: unknown, no case has a graded outcome of both rule sets.", grave=True)
    before, after = moved.quality
    if not one.n_discordant:
        return Sentence("quality", f"Quality: {after:.1%} on {one.n} cases, the same score on every one.")
    text = f"Quality: {before:.1%} before, {after:.1%} now, {points(one)} on {one.n} cases: {_WORDS[one.verdict]}"
    return Sentence("quality", f"{text}.", grave=one.verdict == "worse")


def _cost(moved: Moved) -> Sentence:
    if moved.cost_usd is None or moved.added_usd is None:
        return Sentence("cost", "Cost: unknown.", grave=True)
    before, after = (1000 * value for value in moved.cost_usd)
    text = f"Cost: ${before:.3g} before, ${after:.3g} now for 1,000 requests"
    if before == after:
        text += ", the same"
    else:
        text += f", {_dollars(moved.added_usd)}"
        if moved.cost_change is not None:
            text += f" or {_percent(moved.cost_change)}"
        if moved.added_usd.ci95 is None:
            text += f" ({moved.added_usd.method}, so no interval)"
    if moved.n_cost_unknown:
        text += f"; unknown on {moved.n_cost_unknown} cases, which are left out of it"
    bounds = moved.cost_change.ci95 if moved.cost_change is not None else None
    return Sentence("cost", f"{text}.", grave=bounds is not None and bounds[0] > 0)


def _latency(moved: Moved) -> Sentence:
    one = moved.tail
    if one is None:
        return Sentence("latency", "p95 latency: unknown, no times are recorded.")
    text = f"p95 latency: {one.before_s:.3g} s before, {one.after_s:.3g} s now"
    gap = one.difference
    if gap.mean:
        text += f", {gap.mean:+.2g} s"
        text += f" [{gap.ci95[0]:+.2g}, {gap.ci95[1]:+.2g}]" if gap.ci95 else f" ({gap.method}, so no interval)"
    if one.n < moved.n:
        text += f" (on {one.n} cases that both answered in a known time)"
    return Sentence("latency", f"{text}.", grave=gap.ci95 is not None and gap.ci95[0] > 0)


def _slice(moved: Moved) -> Iterator[Sentence]:
    if not moved.slices or moved.slices[0].delta >= 0:
        return
    worst = moved.slices[0]
    bounds = f" [{signed_points(worst.ci95[0])}, {signed_points(worst.ci95[1])}]" if worst.ci95 else ""
    about = "simultaneous over the slices" if worst.ci95 else "too few of them differ for an interval"
    which = "Only slice with enough cases" if worst.n_slices == 1 else f"Worst of {worst.n_slices} slices"
    text = f"{which}: {worst.name}, {signed_points(worst.delta)} pt{bounds} on {worst.n} cases"
    text += f" ({about})."
    if worst.n_too_small:
        text += f" {worst.n_too_small} slices are too small to judge."
    yield Sentence("slice", text, grave=worst.ci95 is not None and worst.ci95[1] < 0)


def _cases(moved: Moved, used: Used) -> Iterator[Sentence]:
    if used.seeds:
        seeds = " and ".join(map(str, used.seeds))
        text = f"{used.n} of {used.n_suite} cases count: the held-out half of seed {seeds}, which the evidence names."
        if len(used.seeds) > 1:
            text = f"{used.n} of {used.n_suite} cases count: those in the held-out halves of both seeds, {seeds}."
        yield Sentence("cases", text)
    else:
        yield Sentence("cases", f"All {used.n} cases count: no evidence says that a rule set was tuned on this suite.")
    if used.outcomes_changed:
        text = (
            "Outcomes are not those that a rule set was tuned on; where cases came or went, it may have seen some here."
        )
        yield Sentence("cases", text)
    if moved.n_left_out:
        text = (
            f"{moved.n_left_out} cases have no graded outcome of what was chosen and are left out of the differences; "
            f"{moved.n_left_out_moved} of them move."
        )
        yield Sentence("cases", text, grave=moved.n_left_out_moved > _MANY_LEFT_OUT * moved.n_chain)
    if used.n_without_text:
        yield Sentence(
            "cases", f"{used.n_without_text} cases are left out because their prompts are not kept any more."
        )
    if used.n_sealed:
        yield Sentence("cases", f"{used.n_sealed} more cases are sealed and not looked at.")
    if used.agreement is not None:
        yield Sentence("cases", f"Scores rest on a {used.agreement}.", grave="not checked" in used.agreement)


def _dollars(added: Interval) -> str:
    def signed(value: float) -> str:
        return f"{'-' if value < 0 else '+'}${abs(1000 * value):.3g}"

    return signed(added.mean) + (f" [{signed(added.ci95[0])}, {signed(added.ci95[1])}]" if added.ci95 else "")


def _percent(change: Interval) -> str:
    return f"{change.mean:+.1%}" + (f" [{change.ci95[0]:+.1%}, {change.ci95[1]:+.1%}]" if change.ci95 else "")
