"""The last look: a rule set on the cases that nothing else may read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import hypot
from pathlib import Path
from typing import Any

from routebench.checking.evidence import ci95_of, mean_of, turned_worse
from routebench.checking.gates import Gate
from routebench.checking.measuring import Measurement
from routebench.errors import InputError
from routebench.evaluate.joining import train_and_test
from routebench.evaluate.splits import split
from routebench.rules.file.evidence_block import replace_evidence
from routebench.store.looks import add_look, count_looks


def final_gate(measurement: Measurement, path: Path, at: datetime) -> tuple[Gate, dict[str, Any]]:
    """Measures a rule set on the sealed cases, counts the look, and writes both into the rules.yaml.

    The baselines are chosen on the train half as they were for the evidence. The gate fails where the sealed quality
    lies below the evidence's mean by more than the margin that counts as no worse and the uncertainty of both: they
    are means of different cases, so their half-widths add up as squares, and a rule set whose quality has not changed
    fails at most one time in forty. To hold the sealed interval alone against the evidence's mean would take that mean
    for exact and fail too often. It also fails where the rule set is worse than a bar that it was not worse than.

    Args:
        measurement: the rule set and where its outcomes are.
        path: of the rules.yaml, of which only the block `evidence` is written anew.
        at: when.

    Returns:
        The gate, and what stands under `evidence.sealed` now.

    Raises:
        OutcomesError: the suite has no sealed cases.
        InputError: the file cannot be written.
    """
    ruleset, written = measurement.ruleset, measurement.ruleset.evidence
    train = measurement.outcomes.take(split(measurement.outcomes, measurement.seed)[0])
    joined = train_and_test(train, measurement.sealed())
    comparison = measurement.compared(joined)
    now = measurement.evidence(comparison, joined)
    store = measurement.store
    known = 0
    if store.pack is None:
        known = count_looks(store, measurement.suite)
        add_look(store, measurement.suite, rules=ruleset.name, policy_sha256=ruleset.policy_sha256, at=at)
    sealed = {
        "looks": max(known, _looks_in(written)) + 1,
        "n": comparison.n_test,
        "quality": now["quality"],
        "created": at.date(),
    }
    _write(path, {**written, "sealed": sealed})
    return _gate(written, now, sealed, comparison.margin), sealed


def _gate(written: Mapping[str, Any], now: Mapping[str, Any], sealed: Mapping[str, Any], margin: float) -> Gate:
    before, after = mean_of(written, "quality"), mean_of(now, "quality")
    first, second = ci95_of(written, "quality"), ci95_of(now, "quality")
    reading = (
        f"final: look {sealed['looks']} at the {sealed['n']} sealed cases: every look makes the next one weaker; "
        f"quality {'unknown' if after is None else f'{after:.1%}'}"
    )
    if before is None or after is None or first is None or second is None:
        return Gate("final", None, f"{reading}; without an interval here and in the file nothing follows from that")
    reading += f" [{second[0]:.1%}, {second[1]:.1%}], the file says {before:.1%}"
    problems = turned_worse(written, now)
    lowest = before - margin - hypot(before - first[0], second[1] - after)
    if after < lowest:
        problems.insert(0, f"that is less than chance explains, which is down to {lowest:.1%}")
    return Gate("final", not problems, "; ".join([reading, *problems]))


def _looks_in(written: Mapping[str, Any]) -> int:
    sealed = written.get("sealed")
    looks = sealed.get("looks") if isinstance(sealed, Mapping) else None
    return looks if isinstance(looks, int) else 0


def _write(path: Path, evidence: Mapping[str, Any]) -> None:
    try:
        # newline="": line ends stay as they are.
        with path.open(encoding="utf-8", newline="") as file:
            text = replace_evidence(file.read(), evidence, name=str(path))
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: the look cannot be noted in it ({error.strerror}); make it writable") from None
