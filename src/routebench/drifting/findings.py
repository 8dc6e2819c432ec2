"""What production says of the evidence, in sentences that say no more than the statistics allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from routebench.drifting.callers import WITH_TAG
from routebench.drifting.row import Row, Topic
from routebench.evaluate.sentence import signed_points

if TYPE_CHECKING:
    from routebench.drifting.drift import Drift

_MOVED_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        topic: what it is about.
        text: the sentence.
        grave: whether a reader must not miss it.
    """

    topic: Topic | Literal["policy", "headline", "shadow", "label", "value"]
    text: str
    grave: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def read(drift: Drift) -> tuple[Finding, ...]:
    """Returns the sentences: which policies there are first, then the headline, then what moved."""
    return (
        *_policies(drift),
        _headline(drift),
        *(
            Finding(row.topic, f"{sentence(row)}.", grave=row.harmful)
            for row in drift.rows
            if row.decides and row.verdict == "moved"
        ),
        *_callers(drift),
        *_written(drift),
        *_never(drift),
        *_unknown(drift),
        *_shadow(drift),
        *_value(drift),
        *_label(drift),
    )


def sentence(row: Row) -> str:
    """Returns what one row says, without a full stop."""
    change = row.change or 0.0
    if row.change_kind == "distance":
        if row.times is not None and row.production is not None and row.evidence is not None:
            within = "" if row.times_ci95 is None else f" [{row.times_ci95[0]:.2g}, {row.times_ci95[1]:.2g}]"
            return (
                f"The median of {row.name} is {row.times:.2g}{within} times that of the evidence: "
                f"{row.production.mean:.3g} against {row.evidence.mean:.3g}"
            )
        if row.unit == "distance":
            return (
                f"The {row.name.removesuffix(' is another')} is another one for {change:.1%} of the requests than by "
                f"the evidence, where chance explains {row.by_chance or 0.0:.1%}"
            )
        return f"The distribution of {row.name} is {change:.2f} away from that of the evidence"
    bounds = row.change_ci95
    if row.change_kind == "ratio":
        told = "" if bounds is None else f" [{bounds[0]:+.1%}, {bounds[1]:+.1%}]"
        return f"The {row.name} is {change:+.1%}{told} against the evidence"
    told = "" if bounds is None else f" [{signed_points(bounds[0])}, {signed_points(bounds[1])}]"
    return f"The share of {_requests(row)} is {signed_points(change)} pt{told} against the evidence"


def _requests(row: Row) -> str:
    return f"requests {row.name}" if row.topic == "inputs" else row.name


def _policies(drift: Drift) -> Iterator[Finding]:
    others = [one for one in drift.policies if one.policy != drift.policy]
    if not others:
        return
    shown = ", ".join(f"{one.policy} ({one.n:,})" for one in others)
    verb = "another policy" if len(others) == 1 else f"{len(others)} other policies"
    if drift.mixed:
        yield Finding(
            "policy",
            f"These traces are of {verb} than the file's {drift.policy}: {shown}. They were counted as asked, so what "
            "moved may be the rules and not the requests.",
            grave=True,
        )
    else:
        n = sum(one.n for one in others)
        yield Finding(
            "policy",
            f"{n:,} requests were decided by {verb} than the file's {drift.policy} and are left out: {shown}.",
            grave=True,
        )


def _headline(drift: Drift) -> Finding:
    about = f"{drift.n:,} requests"
    decided = [row for row in drift.rows if row.decides and row.verdict is not None]
    against = "the evidence in the file" if drift.replayed is None else f"{drift.replayed:,} cases of {drift.suite}"
    if not decided:
        text = f"Not measured: of {about} nothing can be held against evidence; give --store and --suite."
        return Finding("headline", text, grave=True)
    if all(row.verdict == "too_few" for row in decided):
        return Finding("headline", f"Too few to decide: {about} against {against}.", grave=True)
    harmful = [row for row in decided if row.harmful]
    if harmful:
        names = ", ".join(row.name for row in harmful[:_MOVED_SHOWN])
        more = len(harmful) - _MOVED_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        return Finding("headline", f"Drifted: {about} against {against} differ in {names}{rest}.", grave=True)
    within = sum(row.verdict == "within" for row in decided)
    unsure = len(decided) - within - sum(row.verdict == "moved" for row in decided)
    text = f"No drift beyond the bounds was found: {about} against {against}; {within} of {len(decided)} figures are"
    return Finding(
        "headline", f"{text} surely within, {unsure} cannot be told." if unsure else f"{text} surely within."
    )


def _callers(drift: Drift) -> Iterator[Finding]:
    """What moves decisions although nobody asks anything else."""
    tags = [row for row in drift.rows if row.name.startswith(WITH_TAG) and row.verdict == "moved"]
    if tags:
        names = ", ".join(row.name.removeprefix(WITH_TAG) for row in tags[:_MOVED_SHOWN])
        yield Finding(
            "inputs",
            f"The rules read tags, and clients send others than the cases have ({names}): for that alone other rules "
            "decide. Have clients send them (`routebench: {tags: [...]}` in the body, or `tags` of their key in "
            "gateway.yaml), or take them out of the suite and tune again.",
            grave=True,
        )
    if drift.untold and drift.replayed is not None:
        yield Finding(
            "inputs",
            f"The rules read {', '.join(drift.untold)}, of which traces tell nothing: where clients say something else "
            "than the cases, mix and rules move for that too.",
        )


def _written(drift: Drift) -> Iterator[Finding]:
    if drift.replayed is None and any(row.evidence is not None for row in drift.rows):
        yield Finding(
            "headline",
            "The file's figures have no interval, so only that of production counts, and of mix, rules and inputs it "
            "holds nothing; give --store and --suite to replay the rules.",
        )


def _never(drift: Drift) -> Iterator[Finding]:
    if drift.never:
        names = ", ".join(drift.never)
        verb = "rule never decided" if len(drift.never) == 1 else "rules never decided"
        yield Finding("rules", f"{len(drift.never)} {verb} a request: {names}.")


def _unknown(drift: Drift) -> Iterator[Finding]:
    if drift.n_cost_unknown:
        yield Finding("cost", f"The cost of {drift.n_cost_unknown:,} requests is unknown; they are left out of it.")
    for row in drift.rows:
        if row.topic == "gateway" and row.name == "sent elsewhere by health" and row.production and row.production.mean:
            yield Finding(
                "gateway", f"Health sent {row.production.mean:.1%} of the requests to another model than first wanted."
            )


def _shadow(drift: Drift) -> Iterator[Finding]:
    for one in drift.shadows:
        bounds = (
            ""
            if one.agreement.ci95 is None
            else f" [{100 * one.agreement.ci95[0]:.1f}, {100 * one.agreement.ci95[1]:.1f}]"
        )
        yield Finding(
            "shadow",
            f"{one.rules} in the shadow would ask the same model first for {one.agreement.mean:.1%}{bounds} of "
            f"{one.n:,} requests.",
        )


_WORTH = {"better": "better than", "worse": "worse than", "cannot_tell": "not distinguishable from"}


def _value(drift: Drift) -> Iterator[Finding]:
    one = drift.value
    if one is None:
        return
    if one.difference is None:
        yield Finding("value", f"What {one.target} would be worth cannot be told: {one.why_not}.", grave=True)
        return
    low, high = one.difference.interval()
    text = (
        f"{one.target} would be {_WORTH[one.verdict]} the rules at work: {signed_points(one.difference.value)} pt "
        f"[{signed_points(low)}, {signed_points(high)}] over {one.n:,} scored requests, of which it moves "
        f"{one.n_moved:,}; exploration tried {one.n_matches:,} of these (doubly robust)"
    )
    if one.snips is not None:
        word = "agrees" if one.agrees else "does not agree, so trust neither"
        text += f"; the weights alone say {signed_points(one.snips)} pt, which {word}"
    yield Finding("value", f"{text}.", grave=one.agrees is False)


def _label(drift: Drift) -> Iterator[Finding]:
    lacking = [one for one in drift.needs if one.lacking]
    if not lacking:
        return
    n = sum(one.lacking for one in lacking)
    most = ", ".join(f"{one.lacking:,} of {one.name}" for one in lacking[:_MOVED_SHOWN])
    yield Finding("label", f"To know the quality of production within 2 points, label {n:,} more: {most}.")


def settled(rows: Sequence[Row]) -> bool:
    """Whether anything was measured: a row that decides, with enough on both sides."""
    return any(row.decides and row.verdict not in (None, "too_few") for row in rows)
