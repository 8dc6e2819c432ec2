"""Golden decisions: what a rule set decided when it was written, and whether it still does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from routebench.errors import NoEligibleModelError
from routebench.messages import last_user_text
from routebench.rules.asking import Ask, NobodyAsksError
from routebench.rules.contents import Golden
from routebench.rules.file.writing import plain
from routebench.rules.reading.request import Reading
from routebench.rules.ruleset import RuleSet
from routebench.rules.runtime import Router
from routebench.types import Request

_SHOWN_CHARACTERS = 80
_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""A Monday at noon: golden decisions must not depend on the time at which somebody checks them."""


@dataclass(frozen=True, slots=True)
class GoldenFailure:
    """A golden decision that no longer holds.

    Attributes:
        number: its place in the file, from 1.
    """

    number: int
    prompt: str
    expected: tuple[str, ...]
    expected_rule: str
    got: tuple[str, ...]
    got_rule: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `check --json` prints."""
        return {
            "number": self.number,
            "prompt": self.prompt,
            "expected": list(self.expected),
            "expected_rule": self.expected_rule,
            "got": list(self.got),
            "got_rule": self.got_rule,
        }

    def __str__(self) -> str:
        return (
            f"{self.number}. {self.prompt!r}: expected {' > '.join(self.expected)} by {self.expected_rule}, "
            f"now {' > '.join(self.got) or 'no model'} by {self.got_rule}"
        )


@dataclass(frozen=True, slots=True)
class GoldenCheck:
    """How many golden decisions a rule set has, and those that fail.

    Attributes:
        n: of all.
        unseen: numbers of those that could not be checked, because their request is private and was not given.
        unasked: numbers of those that a model has a say in, which nobody asks.
    """

    n: int
    failed: tuple[GoldenFailure, ...]
    unseen: tuple[int, ...] = ()
    unasked: tuple[int, ...] = ()


def make_golden(
    ruleset: RuleSet, requests: Sequence[Request], salt: str | None = None, *, ask: Ask | None = None
) -> tuple[Golden, ...]:
    """Returns the decisions of a rule set on some requests, to be written beside it.

    Args:
        ruleset: whose.
        requests: what is decided; one that no model may take is left out, and one that a model has a say in without
            `ask`.
        salt: hexadecimal digits, where the requests are private: then their digests and features are kept instead.
        ask: asks a model that has a say in decisions.
    """
    router = Router(ruleset, now=lambda: _AT, ask=ask)
    made = []
    for request in requests:
        try:
            decision = router.decide(request)
        except (NoEligibleModelError, NobodyAsksError):
            continue
        if salt is None:
            made.append(Golden(request, decision.chain, decision.rule))
        else:
            features = dict(Reading(request).features())
            made.append(Golden(None, decision.chain, decision.rule, digest_of(request, salt), features))
    return tuple(made)


def check_golden(ruleset: RuleSet, requests: Iterable[Request] = (), *, ask: Ask | None = None) -> GoldenCheck:
    """Decides every golden request again.

    Args:
        ruleset: whose.
        requests: where private ones are looked for.
        ask: asks a model that has a say in decisions.
    """
    router = Router(ruleset, now=lambda: _AT, ask=ask)
    private = _private(ruleset, requests)
    failed, unseen, unasked = [], [], []
    for number, golden in enumerate(ruleset.golden, start=1):
        request = golden.request or private.get(golden.digest or "")
        if request is None:
            unseen.append(number)
            continue
        try:
            decision = router.decide(request)
            chain, rule = decision.chain, decision.rule
        except NobodyAsksError:
            unasked.append(number)
            continue
        except NoEligibleModelError:
            chain, rule = (), "none"
        if (chain, rule) != (golden.decision, golden.rule):
            failed.append(GoldenFailure(number, name_of(golden), golden.decision, golden.rule, chain, rule))
    return GoldenCheck(len(ruleset.golden), tuple(failed), tuple(unseen), tuple(unasked))


def name_of(golden: Golden) -> str:
    """Returns what to call a golden decision: how its prompt begins, or how its digest does."""
    if golden.request is None:
        return f"private, {(golden.digest or '').partition(':')[2][:12]}"
    return " ".join(last_user_text(golden.request.messages).split())[:_SHOWN_CHARACTERS]


def digest_of(request: Request, salt: str) -> str:
    """Returns a salt and the SHA-256 of it and everything in a request that can decide, as `salt:digest`."""
    told = [request.messages, request.tools, request.response_format, request.params, request.metadata, request.tags]
    body = json.dumps(plain(told), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"{salt}:{hashlib.sha256((salt + body).encode(errors='replace')).hexdigest()}"


def _private(ruleset: RuleSet, requests: Iterable[Request]) -> dict[str, Request]:
    """The given requests by every digest that the rule set could call them by."""
    salts = {one.digest.partition(":")[0] for one in ruleset.golden if one.digest is not None}
    return {digest_of(request, salt): request for request in requests for salt in salts} if salts else {}
