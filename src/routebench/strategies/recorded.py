"""A rule set by the decisions that were recorded for every case: measured where no prompt is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import ACCEPTED, NOBODY, REFUSED, UNTOLD, Checks, Choices, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.store import RecordedPart, RecordedPolicy, RecordedVerdict
from routebench.strategies.base import Policy
from routebench.types import Request


class RecordedRules(Policy):
    """What a rule set decided for every case when a pack was made; it measures as the rule set itself does.

    Args:
        policy: the decisions.
    """

    def __init__(self, policy: RecordedPolicy) -> None:
        self.policy = policy
        self.name = f"rules:{policy.name}"

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """One point: the decisions that were recorded for these cases, by their ids."""
        ids = [str(case_id) for case_id in outcomes.cases.ids]
        place = {name: number for number, name in enumerate(outcomes.models)}
        parts, checks = [], []
        for part in self.policy.parts:
            chains = [self._chain(part, case_id) for case_id in ids]
            table = np.full((len(chains), max([1, *map(len, chains)])), -1, dtype=np.intp)
            for row, chain in enumerate(chains):
                table[row, : max(1, len(chain))] = [place[name] for name in chain] or NOBODY
            parts.append((part.share, table))
            checks.append(_checks(part, ids, chains, (*table.shape, outcomes.status.shape[2])))
        told = tuple(checks) if any(one is not None for one in checks) else ()
        return [Choices(outcomes.models, tuple(parts), self.name, checks=told)]

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Never called: recorded decisions are of cases, by their ids, and a request has none."""
        raise OutcomesError(
            f"{self.name}: its decisions were recorded for the cases of a pack, not for {len(requests)} new requests; "
            "replay the rules.yaml itself"
        )

    def train_curve(self) -> Sequence[Choices]:
        """The recorded decisions for the training cases; nothing was learned from them."""
        return self.peek(self._train)

    def _chain(self, part: RecordedPart, case_id: str) -> Sequence[str]:
        chain = part.chains.get(case_id)
        if chain is None:
            raise OutcomesError(f"{self.name}: case {case_id!r} has no recorded decision; make the pack anew")
        return chain


def record(choices: Choices, case_ids: Sequence[str]) -> tuple[RecordedPart, ...]:
    """Returns choices for some cases, and the verdicts on their answers, in the form that a pack holds.

    Raises:
        OutcomesError: answers are checked, and nobody has looked at any.
    """
    parts = []
    for (share, table), checks in zip(choices.parts, choices.checks_by_part, strict=True):
        chains = [tuple(choices.models[at] for at in row if at >= 0) for row in table]
        verdicts = {} if checks is None else dict(_verdicts(checks, case_ids, chains))
        parts.append(RecordedPart(share, dict(zip(case_ids, chains, strict=True)), verdicts))
    return tuple(parts)


def _verdicts(
    checks: Checks, case_ids: Sequence[str], chains: Sequence[Sequence[str]]
) -> Iterator[tuple[tuple[str, str, int], RecordedVerdict]]:
    if checks.verdicts is None or checks.latest_stands is None:
        raise OutcomesError("these decisions depend on answers, and nobody has looked at any; check them first")
    for row in map(int, np.flatnonzero(checks.by >= 0)):
        words: dict[int, RecordedVerdict] = {
            ACCEPTED: "accepted",
            REFUSED: "stands" if checks.latest_stands[row] else "refused",
            UNTOLD: "untold",
        }
        for place, model in enumerate(chains[row]):
            for sample, code in enumerate(checks.verdicts[row, place]):
                yield (case_ids[row], model, sample), words[int(code)]


def _checks(
    part: RecordedPart, case_ids: Sequence[str], chains: Sequence[Sequence[str]], shape: tuple[int, ...]
) -> Checks | None:
    """The recorded verdicts as an array of a shape (n, length, k); None where no answer is checked."""
    if not part.verdicts:
        return None
    codes = {"accepted": ACCEPTED, "stands": REFUSED, "refused": REFUSED, "untold": UNTOLD}
    by: IntArray = np.full(len(case_ids), -1, dtype=np.intp)
    verdicts = np.full(shape, UNTOLD, dtype=np.int8)
    stands = np.zeros(len(case_ids), dtype=bool)
    for row, (case_id, chain) in enumerate(zip(case_ids, chains, strict=True)):
        for place, model in enumerate(chain):
            for sample in range(shape[2]):
                said = part.verdicts.get((case_id, model, sample))
                if said is not None:
                    by[row], verdicts[row, place, sample] = 0, codes[said]
                    stands[row] |= said == "stands"
    verdicts[by < 0] = ACCEPTED
    return Checks(("as recorded",), by, verdicts, stands)
