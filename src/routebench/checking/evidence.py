"""The evidence in a rules.yaml held against what is measured now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routebench.checking.gates import Gate
from routebench.errors import InputError
from routebench.rules import RuleSet

_SAME = 1e-5
# Not latencies, which never repeat, nor intervals, which a better method may narrow.
_REPRODUCED = (
    ("quality", "mean"),
    ("cost_usd_per_1k", "mean"),
    ("failed_share",),
    ("versus", "best_single", "delta_quality"),
    ("versus", "fixed_mix", "delta_quality"),
)
_BARS = ("best_single", "fixed_mix")


def seed_of(ruleset: RuleSet) -> int:
    """Returns the seed of the split that a rule set was measured on.

    Raises:
        InputError: its evidence does not say.
    """
    split = ruleset.evidence.get("split")
    if not isinstance(split, Mapping) or not isinstance(split.get("seed"), int):
        where = ruleset.source or ruleset.name
        raise InputError(
            f"{where}: `evidence.split.seed` is missing, so there is nothing to check; `routebench tune` writes it"
        )
    return int(split["seed"])


def evidence_gate(written: Mapping[str, Any], now: Mapping[str, Any]) -> Gate:
    """Holds a file's evidence against evidence that was made now.

    On the same outcomes every figure must come out again. Other outcomes give other figures; a regression is only
    what the file's own uncertainty rules out: a quality below its interval, or a verdict that has become `worse`.
    """
    before, after = mean_of(written, "quality"), mean_of(now, "quality")
    shown = "no figure" if before is None else f"{before:.1%}"
    same = written.get("outcomes_sha256") == now.get("outcomes_sha256")
    which = "the same outcomes" if same else "other outcomes than the file's evidence"
    n_before, n_now = written.get("n_test"), now.get("n_test")
    if same and isinstance(n_before, int) and isinstance(n_now, int) and n_now < n_before:
        # A purge is no broken promise, but what is left says something else.
        same, which = False, f"the {n_now} of its {n_before} cases whose prompts are still kept"
    reading = f"evidence: the file says {shown}, on {which} it is {_percent(after)}"
    problems = _changed(written, now) if same else _regressions(written, now)
    return Gate("evidence", not problems, "; ".join([reading, *problems]))


def turned_worse(written: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Says against which bars a rule set is worse now, and was not in its file."""
    return [
        f"it is now worse than {bar}"
        for bar in _BARS
        if _at(now, ("versus", bar, "verdict")) == "worse" != _at(written, ("versus", bar, "verdict"))
    ]


def mean_of(figures: Mapping[str, Any], name: str) -> float | None:
    """The mean of a figure, None where there is none."""
    return _number(_at(figures, (name, "mean")))


def ci95_of(figures: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """The 95 % interval of a figure, None where there is none."""
    bounds = _at(figures, (name, "ci95"))
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        return None
    low, high = (_number(bound) for bound in bounds)
    return None if low is None or high is None else (low, high)


def _changed(written: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    problems = []
    for path in _REPRODUCED:
        before, after = _number(_at(written, path)), _number(_at(now, path))
        if path == ("quality", "mean") and before is None:
            problems.append("`evidence.quality.mean` is missing; `routebench tune` writes it")
        elif before is not None and (after is None or abs(before - after) > _SAME):
            found = "unknown" if after is None else f"{after:g}"
            problems.append(f"`{'.'.join(path)}` is {before:g} in the file and {found} when measured again")
    return problems


def _regressions(written: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    problems = []
    interval, after = ci95_of(written, "quality"), mean_of(now, "quality")
    if interval is not None and after is not None and after < interval[0]:
        problems.append(f"that is below the file's interval, which begins at {interval[0]:.1%}")
    return [*problems, *turned_worse(written, now)]


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"
