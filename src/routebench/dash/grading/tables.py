"""A blind batch and its results as finished texts."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.dash.format import UNKNOWN, duration, percent, points, seconds
from routebench.dash.grading.result import Graded
from routebench.dash.grading.state import Sitting
from routebench.dash.parts import Numbers
from routebench.evaluate.intervals import Interval
from routebench.evaluate.verdicts import MIN_ITEMS, Standing

TOO_FEW = "too few to decide"
_VERDICTS = {"better": "↑ preferred", "worse": "↓ not preferred", "cannot_tell": "cannot tell", "too_few": TOO_FEW}


def share(one: Interval) -> str:
    """`61.2% [48.0, 73.1]`."""
    return percent(one.mean, one.ci95)


def tables_of(result: Graded) -> Sequence[Numbers]:
    """Returns everything that a result holds, as tables."""
    found = []
    if result.kind == "pairwise":
        columns = ("side", "against", "preferred, ties half", "won", "tied", "lost", "pairs", "verdict")
        found.append(Numbers("Wins, ties and losses", columns, [_standing_row(one) for one in result.standings]))
    else:
        means = [(name, share(mean), _n(n)) for name, (n, mean) in result.scores.items()]
        found.append(Numbers("Mean score", ("model", "score [95% CI]", "answers"), means))
    found.append(Numbers(_judge_caption(result), ("what", "value [95% CI]", "items"), _judge_rows(result)))
    found.append(Numbers(f"{result.rater} as a grader", ("what", "value [95% CI]", "of"), _own_rows(result)))
    if len(result.others):
        told = [
            (str(row["rater"]), str(row["other"]), f"{row['same']} of {row['n']}", str(row["alpha"]), str(row["kappa"]))
            for row in result.others.to_dict("records")
        ]
        heads = ("grader", "and", "said the same", "alpha", "weighted kappa")
        found.append(Numbers("People among themselves, on the same batch", heads, told))
    return found


def _standing_row(one: Standing) -> tuple[str, ...]:
    return (
        one.name,
        one.against,
        share(one.preferred),
        share(one.won),
        share(one.tied),
        share(one.lost),
        f"{one.n} ({one.wins} won, {one.ties} tied, {one.losses} lost)",
        _VERDICTS[one.verdict],
    )


def _n(n: int) -> str:
    return f"{n}, {TOO_FEW}" if n < MIN_ITEMS else str(n)


def _judge_caption(result: Graded) -> str:
    if result.judged_by is None:
        return "Nothing else scored these answers"
    return f"Agreement with {result.judged_by}"


def _judge_rows(result: Graded) -> list[tuple[str, ...]]:
    one = result.held
    if one is None:
        return [("agreement", UNKNOWN, "0")]
    rows: list[tuple[str, ...]] = [
        ("weighted kappa (0 is chance)", str(one.kappa), _n(one.n)),
        ("Krippendorff's alpha", str(one.alpha), _n(one.n)),
    ]
    if one.same is not None:
        rows.insert(0, ("says the same", share(one.same), _n(one.n)))
    if one.above is not None:
        rows.append((f"scores above {result.rater}", points(one.above.mean, one.above.ci95), _n(one.n)))
    return rows


def _own_rows(result: Graded) -> list[tuple[str, ...]]:
    repeats = result.repeats
    again = percent(repeats.same / repeats.n, repeats.ci95) if repeats.n else UNKNOWN
    rows: list[tuple[str, ...]] = [("says the same again", again, f"{repeats.same} of {repeats.n} silent repeats")]
    if result.kind == "pairwise":
        left = result.left
        rows += [
            ("goes to the left side", UNKNOWN if left is None else share(left[1]), f"{left[0] if left else 0} decided"),
            ("both bad", str(result.n_both_bad), f"{result.n_done} shown"),
            ("equal answers, ties without a look", str(result.n_identical), "not in the shares above"),
        ]
    taken = (
        UNKNOWN
        if result.taken_s is None
        else duration(result.taken_s)
        if result.taken_s >= 1
        else seconds(result.taken_s)
    )
    return [
        *rows,
        ("median time a verdict", taken, f"{result.n_graded} verdicts"),
        ("skipped", str(result.n_skipped), f"{result.n_done} shown"),
    ]


def reading_of(result: Graded) -> str:
    """Returns a result in a sentence or two."""
    parts = [_preference(result)]
    if result.held is not None:
        alike = "" if result.held.same is None else f"; they say the same in {share(result.held.same)}"
        few = f" ({TOO_FEW})" if result.held.n < MIN_ITEMS else ""
        parts.append(
            f"Weighted kappa of {result.judged_by} and {result.rater}: {result.held.kappa} on {result.held.n} items"
            f"{few}{alike}."
        )
    if result.repeats.n:
        parts.append(f"{result.rater} said the same again in {result.repeats.same} of {result.repeats.n} repeats.")
    if result.revealed_at is None:
        parts.append("Names are hidden until the reveal.")
    return " ".join(part for part in parts if part)


def _preference(result: Graded) -> str:
    if result.kind == "score":
        if result.overall is None:
            return ""
        n = sum(count for count, _ in result.scores.values())
        told = f"{result.rater} scores the answers {share(result.overall)} in the mean, on {n} of them"
        known = {name: mean for name, (count, mean) in result.scores.items() if count >= MIN_ITEMS}
        if len(known) < 2:
            return f"{told}; of each model {TOO_FEW}."
        best = max(known, key=lambda name: known[name].mean)
        return f"{told}; highest {best}: {share(known[best])}."
    if not result.standings:
        return ""
    # What is decided comes first, and of that what rests on most.
    one = max(result.standings, key=lambda standing: (standing.verdict in ("better", "worse"), standing.n))
    told = {
        "better": f"{result.rater} prefers {one.name} to {one.against}",
        "worse": f"{result.rater} prefers {one.against} to {one.name}",
        "cannot_tell": f"Whether {result.rater} prefers {one.name} to {one.against} cannot be told",
        "too_few": f"{one.name} against {one.against}: {TOO_FEW}",
    }[one.verdict]
    return f"{told}: preferred in {share(one.preferred)} of {one.n} pairs, ties half."


def head_of(sitting: Sitting) -> str:
    """Returns how far somebody is, in a line."""
    done = sitting.progress
    unit = "pair" if sitting.batch.kind == "pairwise" else "answer"
    at = f"{unit} {done.done + 1} / {done.total}" if done.done < done.total else f"all {done.total} {unit}s"
    ties = f", {done.ties} ties" if sitting.batch.kind == "pairwise" else ""
    left = "" if done.left_s is None or done.done == done.total else f" · about {duration(done.left_s)} left"
    return f"{at} · {sitting.rater}: {done.done} done{ties}, {done.skipped} skipped{left}"


def waiting_of(sitting: Sitting) -> str:
    """Returns the sentence that stands while results are not looked at."""
    done = sitting.progress
    results = "results are open" if sitting.unlocked else f"results open at {sitting.needed}"
    return f"Blind: who answered is not shown. {done.done} of {done.total} done; {results}."


def footer_of(sitting: Sitting) -> str:
    """Returns what a batch rests on."""
    batch = sitting.batch
    counts = batch.counts
    scale = f", scale {batch.scale} (its ends are 0 and 1)" if batch.scale else ""
    same = f", {counts['identical']:,} equal answers left out" if counts.get("identical") else ""
    doubt = f", {counts['doubtful']:,} of them in doubt for the judge" if counts.get("doubtful") else ""
    return (
        f"suite {batch.suite}, batch {batch.batch_id}, seed {batch.seed}{scale}; drawn from {counts['drawable']:,}"
        f"{doubt}{same}. Means are weighted by the chance to be drawn (Hajek), intervals robust to items of one case."
    )
