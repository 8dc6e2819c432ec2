"""Who decides: rules, similarity, what was learned, complexity, the default, in this order; the first that answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from routebench.rules.conditions.lineup import Lineup
from routebench.rules.contents import COMPLEXITY, DEFAULT, LEARNED, SIMILARITY
from routebench.rules.guards import Admission
from routebench.rules.learned.llm_classifier import LlmClassifier
from routebench.rules.reading.request import Reading
from routebench.types import Answer, Request

if TYPE_CHECKING:
    from routebench.rules.asking import Consult
    from routebench.rules.contents import Complexity, Contents, Learned, Similarity, Tier
    from routebench.rules.learned.classifier import Classifier
    from routebench.rules.learned.library import Library


@dataclass(frozen=True, slots=True)
class Choice:
    """What a phase chose: a chain of models that may take the request.

    Attributes:
        chain: empty where the phase has nothing to offer, and `why` is worth telling.
        rule: what decided.
        cascade: the check that answers must pass, if any.
        consulted: what models answered that were asked for it.
    """

    chain: tuple[str, ...]
    rule: str
    why: str
    cascade: str | None = None
    consulted: tuple[Answer, ...] = ()


class Phase(Protocol):
    """Chooses, or has nothing to say."""

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns a choice; `without` names a rule that is to be left out."""
        ...

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:
        """Yields what a choice of this phase comes from, and how far it is from another, for people."""
        ...


def phases(ruleset: Contents, consult: Consult, library: Library | None = None) -> tuple[FirstMatch, dict[str, Phase]]:
    """Returns the rules, and by name what is asked where no rule decides; the last one always answers.

    Args:
        ruleset: the policy.
        consult: asks a model that has a say in decisions.
        library: the past prompts of `similarity`, opened.
    """
    later: dict[str, Phase] = {}
    if ruleset.similarity is not None:
        later[SIMILARITY] = BySimilarity(ruleset.similarity, library or ruleset.similarity.library)
    if ruleset.learned is not None:
        later[LEARNED] = ByUtility(ruleset.learned)
    if ruleset.complexity is not None:
        later[COMPLEXITY] = by_complexity(ruleset.complexity, consult)
    return FirstMatch(ruleset), {**later, DEFAULT: ByDefault(ruleset)}


class FirstMatch:
    """The rules: the first that matches, and that names a model which may take the request.

    Attributes:
        rules: each with its condition.
    """

    def __init__(self, ruleset: Contents) -> None:
        self._lineup = Lineup.of([rule.when for rule in ruleset.rules], "user")
        self.rules = tuple(zip(ruleset.rules, self._lineup.conditions, strict=True))
        self._says = [str(condition) for condition in self._lineup.conditions]

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns the chain of the first rule that matches."""
        for place in self._lineup.matching(reading):
            rule = self.rules[place][0]
            if rule.name == without:
                continue
            chain = admission.keep(rule.route)
            if chain:
                return Choice(chain, rule.name, self._says[place] + admission.because, rule.cascade)
        return None


class BySimilarity:
    """What happened to similar prompts of the past."""

    def __init__(self, similarity: Similarity, library: Library) -> None:
        self._similarity = similarity
        self._library = library

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns the models by their expected utility; nothing where no past prompt is similar enough."""
        if without == SIMILARITY:
            return None
        found = self._library.rank(reading)
        if found is None:
            return None
        ranked, similarity = found
        chain = admission.keep(ranked)
        why = f"best on similar prompts, the nearest at {similarity:.2f}"
        return Choice(chain, SIMILARITY, why + admission.because, self._similarity.cascade) if chain else None

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:
        """Yields the expected score of every model that may take the request."""
        expected = self._library.predict(reading)
        scores = [
            f"{name} {score:.2f}"
            for name, score in zip(self._library.models, expected.scores, strict=True)
            if name in admission.models
        ]
        yield f"expected scores: {', '.join(scores)}"


class ByUtility:
    """What every model is predicted to be worth."""

    def __init__(self, learned: Learned) -> None:
        self._learned = learned

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns the models by their predicted utility; those that the head does not know are no candidates."""
        if without == LEARNED:
            return None
        chain = admission.keep(self._learned.head.rank(reading))
        why = "the highest predicted utility"
        return Choice(chain, LEARNED, why + admission.because, self._learned.cascade) if chain else None

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:
        """Yields the utility of every model that may take the request, and what puts the first before the second."""
        head = self._learned.head
        utilities = head.utilities(reading)
        best, *others = admission.keep(tuple(utilities))
        said = ", ".join(f"{name} {utilities[name]:.3f}" for name in (best, *others))
        yield f"predicted utilities: {said}"
        if others:
            away = utilities[best] - utilities[others[0]]
            yield f"{best} is {away:.3f} ahead of {others[0]}, which comes from: {head.why(reading, best, others[0])}"


def by_complexity(complexity: Complexity, consult: Consult) -> Phase:
    """Returns the phase of a classifier and its tiers."""
    classifier = complexity.classifier
    if isinstance(classifier, LlmClassifier):
        return ByAnswer(classifier, complexity.tiers, consult)
    return ByComplexity(classifier, complexity.tiers)


class ByComplexity:
    """A classifier scores the request, thresholds choose the tier."""

    def __init__(self, classifier: Classifier, tiers: Sequence[Tier]) -> None:
        self._classifier = classifier
        self._tiers = tiers

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns the chain of the tier that the score falls into."""
        if without == COMPLEXITY:
            return None
        return _in_tier(self._tiers, self._classifier.score(reading), "complexity", admission)

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:
        """Yields what the score comes from, and where the request would go on the other side of the next threshold."""
        classifier, tiers = self._classifier, self._tiers
        yield f"complexity comes from: {classifier.why(reading)}"
        score = classifier.score(reading)
        thresholds = [(abs(score - tier.below), tier.below, place) for place, tier in enumerate(tiers) if tier.below]
        if thresholds:
            away, below, place = min(thresholds)
            side, other = ("above", tiers[place + 1]) if score < below else ("below", tiers[place])
            yield f"{away:.3f} from {below:g}: {side} it, {' > '.join(admission.keep(other.route)) or 'no model'}"


class ByAnswer:
    """A small language model scores the request, thresholds choose the tier."""

    def __init__(self, classifier: LlmClassifier, tiers: Sequence[Tier], consult: Consult) -> None:
        self._classifier = classifier
        self._tiers = tiers
        self._consult = consult

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice | None:
        """Returns the chain of the tier that the answer's score falls into.

        A choice without a chain where the model may not see the request, or gives no score: then the next phase
        decides, and says so.
        """
        if without == COMPLEXITY:
            return None
        model = self._classifier.model
        if model not in admission.models:
            # It would read what guards keep from it.
            return Choice((), COMPLEXITY, f"{model} may not be asked how complex it is")
        answer = self._consult(model, self._classifier.request(reading), admission)
        score = self._classifier.score(answer)
        if score is None:
            what = answer.error_kind or "an answer without a number on the scale"
            return Choice((), COMPLEXITY, f"{model} did not say how complex it is ({what})", consulted=(answer,))
        choice = _in_tier(self._tiers, score, f"complexity by {model}", admission)
        nobody = Choice((), COMPLEXITY, f"no model of its tier may take a complexity of {score:.3f}")
        return replace(choice or nobody, consulted=(answer,))

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:  # noqa: ARG002 - it asks nobody again
        """Yields where the tiers begin."""
        below = ", ".join(f"below {tier.below:g}: {' > '.join(tier.route)}" for tier in self._tiers if tier.below)
        yield f"tiers: {below or 'one'}, else {' > '.join(self._tiers[-1].route)}"


def _in_tier(tiers: Sequence[Tier], score: float, what: str, admission: Admission) -> Choice | None:
    tier = next(one for one in tiers if one.below is None or score < one.below)
    chain = admission.keep(tier.route)
    where = "above every threshold" if tier.below is None else f"below {tier.below:g}"
    why = f"{what} {score:.3f} is {where}"
    return Choice(chain, COMPLEXITY, why + admission.because, tier.cascade) if chain else None


class ByDefault:
    """One chain, or one drawn for the conversation."""

    def __init__(self, ruleset: Contents) -> None:
        self._name = ruleset.name
        self._default = ruleset.default

    def __call__(self, reading: Reading, admission: Admission, without: str | None = None) -> Choice:  # noqa: ARG002 - nothing is left without a default
        """Returns the default chain; where guards leave nothing of it, all that they allow, from the weakest."""
        chain = admission.keep(self._route(reading.request))
        if chain:
            return Choice(chain, DEFAULT, "no rule matches" + admission.because, self._default.cascade)
        # A guard may demand what no rule names: then its weakest model, and stronger ones after it.
        why = "no rule names a model that may take the request"
        return Choice(admission.models, DEFAULT, why + admission.because, self._default.cascade)

    def tell(self, reading: Reading, admission: Admission) -> Iterator[str]:  # noqa: ARG002 - it is the same for all
        """Yields the shares of a mix."""
        for share, chain in self._default.mix or ():
            yield f"drawn for {share:.0%} of the conversations: {' > '.join(chain)}"

    def _route(self, request: Request) -> tuple[str, ...]:
        if self._default.mix is None:
            return self._default.route or ()
        drawn, reached = draw(self._name, request), 0.0
        for share, chain in self._default.mix:
            reached += share
            if drawn < reached:
                return chain
        return self._default.mix[-1][1]


def draw(name: str, request: Request) -> float:
    """Returns a number in [0, 1) from a rule set's name and the messages up to the first user message.

    The same for every turn of a conversation, in every process, so that a mix can be replayed and checked.
    """
    head = []
    for message in request.messages:
        head.append(dict(message))
        if message.get("role") == "user":
            break
    body = json.dumps([name, head], sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return int.from_bytes(hashlib.sha256(body.encode(errors="replace")).digest()[:7], "big") / 2**56
