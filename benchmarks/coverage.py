"""How often a nominal 95 % interval holds the truth, and how often eight comparisons find a winner that is none.

    python benchmarks/coverage.py                    10,000 draws a row; some minutes
    python benchmarks/coverage.py --draws 2000 --only 0/1

A row draws many samples of cases from a world whose truth is known and asks `paired` about each. Where it answers
`too_few` there is no interval: coverage is of the answered draws, and the share of those is printed beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from routebench.evaluate.paired import adjusted, paired

Floats = npt.NDArray[np.float64]
SIZES = (50, 200, 1000)
ASKED = (0.93, 0.975)


@dataclass(frozen=True)
class World:
    """Where samples come from.

    Attributes:
        draw: (generator, draws, n) -> values of both strategies, shape (draws, n), and their true mean difference.
        groups: (generator, n) -> cluster of each case; None where every case is its own.
        weigh: (generator, n) -> weight of each case; None where all are alike.
    """

    draw: Callable[[np.random.Generator, int, npt.NDArray[np.intp]], tuple[Floats, Floats, float]]
    groups: Callable[[np.random.Generator, int], npt.NDArray[np.intp]] | None = None
    weigh: Callable[[np.random.Generator, int], Floats] | None = None


def binary(discordance: float, lean: float) -> Callable[..., tuple[Floats, Floats, float]]:
    """0/1 scores: a share of pairs differs, and the first wins (1 + lean) / 2 of them; clusters share their luck."""

    def draw(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> tuple[Floats, Floats, float]:
        luck = uniform(rng, draws, groups)
        win, lose = discordance * (1 + lean) / 2, discordance * (1 - lean) / 2
        first = (luck < win).astype(float)
        second = ((luck >= win) & (luck < win + lose)).astype(float)
        both = (rng.random(luck.shape) < 0.7) & (luck >= win + lose)
        return first + both, second + both, win - lose

    return draw


def uniform(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> Floats:
    """Uniform numbers; a third of the cases of a cluster share theirs, shape (draws, n)."""
    own = rng.random((draws, len(groups)))
    shared = rng.random((draws, int(groups.max()) + 1))[:, groups]
    return np.where(rng.random(own.shape) < 1 / 3, shared, own) if len(np.unique(groups)) < len(groups) else own


def normal(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> Floats:
    """Standard normal numbers that correlate by 0.3 within a cluster, shape (draws, n)."""
    own = rng.normal(size=(draws, len(groups)))
    if len(np.unique(groups)) == len(groups):
        return own
    shared = rng.normal(size=(draws, int(groups.max()) + 1))[:, groups]
    return np.sqrt(0.7) * own + np.sqrt(0.3) * shared


def partial_credit(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> tuple[Floats, Floats, float]:
    """Scores in quarters, correlated between the strategies; the second is clipped more often, and so better."""
    common = normal(rng, draws, groups)
    first = np.clip(np.round(2 + 1.5 * (common + 0.7 * rng.normal(size=common.shape))), 0, 4) / 4
    second = np.clip(np.round(2 + 1.5 * (common + 0.7 * rng.normal(size=common.shape))), 0, 4) / 4
    return first, second, 0.0


def small_gain(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> tuple[Floats, Floats, float]:
    """Scores that differ symmetrically around a small gain."""
    return 0.02 + 0.2 * normal(rng, draws, groups), np.zeros((draws, len(groups))), 0.02


def costs(sigma: float, share: float = 1.0) -> Callable[..., tuple[Floats, Floats, float]]:
    """Costs of a policy that sends a share of requests to a dear model, against a cheap one; lognormal."""

    def draw(rng: np.random.Generator, draws: int, groups: npt.NDArray[np.intp]) -> tuple[Floats, Floats, float]:
        dear = np.exp(sigma * normal(rng, draws, groups))
        sent = rng.random(dear.shape) < share
        return np.where(sent, dear, 0.1), np.full(dear.shape, 0.1), share * (np.exp(sigma**2 / 2) - 0.1)

    return draw


def equal_clusters(_rng: np.random.Generator, n: int) -> npt.NDArray[np.intp]:
    return np.arange(n) // 5


def unequal_clusters(rng: np.random.Generator, n: int) -> npt.NDArray[np.intp]:
    """Conversations of one to ten turns."""
    sizes = rng.integers(1, 11, size=n)
    return np.repeat(np.arange(n), sizes)[:n]


def weights(rng: np.random.Generator, n: int) -> Floats:
    return rng.lognormal(sigma=0.5, size=n)


WORLDS: Mapping[str, World] = {
    **{
        f"0/1, {share:.0%} differ, {word}": World(binary(share, lean))
        for share in (0.03, 0.1, 0.3)
        for lean, word in ((0.0, "no gain"), (0.5, "gain"))
    },
    "0/1, 30% differ, weights": World(binary(0.3, 0.3), weigh=weights),
    "0/1, 10% differ, clusters of 5": World(binary(0.1, 0.3), equal_clusters),
    "0/1, 30% differ, clusters of 5": World(binary(0.3, 0.3), equal_clusters),
    "0/1, 30% differ, clusters of 1-10": World(binary(0.3, 0.3), unequal_clusters),
    "symmetric": World(small_gain),
    "symmetric, weights": World(small_gain, weigh=weights),
    "symmetric, clusters of 5": World(small_gain, equal_clusters),
    "symmetric, clusters of 1-10": World(small_gain, unequal_clusters),
    "partial credit": World(partial_credit),
    "partial credit, clusters of 5": World(partial_credit, equal_clusters),
    "partial credit, clusters of 1-10": World(partial_credit, unequal_clusters),
    "partial credit, clusters of 1-10, weights": World(partial_credit, unequal_clusters, weights),
    "costs, lognormal 0.5": World(costs(0.5)),
    "costs, lognormal 1": World(costs(1.0)),
    "costs, lognormal 0.5, half sent": World(costs(0.5, 0.5)),
    "costs, lognormal 0.5, weights": World(costs(0.5), weigh=weights),
    "costs, lognormal 0.5, clusters of 5": World(costs(0.5), equal_clusters),
    "costs, lognormal 0.5, clusters of 1-10": World(costs(0.5), unequal_clusters),
}


@dataclass(frozen=True)
class Coverage:
    """Attributes: share of draws with an interval, and how many of those hold the truth, or lie above or below it."""

    answered: float
    covered: float
    above: float
    below: float


def measure(world: World, n: int, draws: int, seed: int = 0) -> Coverage:
    """Draws samples from a world and asks for an interval of each."""
    rng = np.random.default_rng(seed)
    found = []
    # The layout of clusters is drawn anew now and then, so that a row is not about one of them.
    for _ in range(20):
        groups = np.arange(n) if world.groups is None else world.groups(rng, n)
        weight = np.ones(n) if world.weigh is None else world.weigh(rng, n)
        first, second, truth = world.draw(rng, max(1, draws // 20), groups)
        for a, b in zip(first, second, strict=True):
            interval = paired(a, b, groups, weight).ci95  # type: ignore[arg-type]  # numbers sort faster than texts
            if interval is not None:
                found.append((interval[0] > truth, interval[1] < truth))
    above, below = np.array(found or [(False, False)]).mean(axis=0)
    return Coverage(len(found) / (20 * max(1, draws // 20)), 1 - above - below, above, below)


def families(n: int, draws: int, seed: int = 0, strategies: int = 8) -> tuple[float, float, float]:
    """Eight strategies that are no better than the baseline, with 0/1 scores that correlate.

    Returns:
        The share of families in which a false winner or loser is found with Holm, the same without, and the share in
        which every simultaneous interval holds the truth.
    """
    rng = np.random.default_rng(seed)
    groups, weight = np.arange(n), np.ones(n)
    false = plain = covered = 0
    for _ in range(draws):
        hard = rng.normal(size=n)
        skills = hard[:, None] + 0.8 * rng.normal(size=(n, strategies + 1))
        scores = (skills < 0.8).astype(float)
        base, others = scores[:, 0], scores[:, 1:]
        alone = [paired(one, base, groups, weight) for one in others.T]  # type: ignore[arg-type]
        family = adjusted(alone, others - base[:, None], groups, weight)  # type: ignore[arg-type]
        false += any(one.p_adjusted is not None and one.p_adjusted < 0.05 for one in family)
        plain += any(one.p_value is not None and one.p_value < 0.05 for one in alone)
        intervals = [one.ci95_simultaneous for one in family if one.ci95_simultaneous is not None]
        covered += all(low <= 0 <= high for low, high in intervals)
    return false / draws, plain / draws, covered / draws


def show(names: Sequence[str], draws: int) -> None:
    print(f"{'':<44}{'':>5} {'covered':>8} {'above':>7} {'below':>7} {'answered':>9}   asked {ASKED[0]}-{ASKED[1]}")
    for name in names:
        for n in SIZES:
            one = measure(WORLDS[name], n, draws)
            word = "" if not one.answered or ASKED[0] <= one.covered <= ASKED[1] else "  OUTSIDE"
            told = (
                f"{one.covered:8.4f} {one.above:7.4f} {one.below:7.4f}" if one.answered else f"{'too few':>8}{'':>16}"
            )
            print(f"{name:<44}{n:5d} {told} {one.answered:9.4f}{word}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--families", type=int, default=2000)
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    options = parser.parse_args()
    start = time.perf_counter()
    show([name for name in WORLDS if options.only in name], options.draws)
    for cases in (50, 200, 500) if options.families else ():
        holm, plain, together = families(cases, options.families)
        print(
            f"eight null strategies, n = {cases}: a false finding {holm:.4f} with Holm (asked < 0.065), {plain:.4f} "
            f"without; max-T holds all {together:.4f} (asked >= 0.93)",
            flush=True,
        )
    print(f"{time.perf_counter() - start:.0f} s")
