"""What a small language model said of requests in a recorded run: the first of two phases, paid for like any call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.outcomes import ERROR, MISSING, Outcomes
from routebench.rules import Deployment, Reading
from routebench.rules.learned.llm_classifier import DEFAULT_PROMPT, LlmClassifier
from routebench.strategies.prompts import readings
from routebench.strategies.scorers import Deciding
from routebench.types import Answer, Case, Request


@dataclass(frozen=True)
class LlmScores:
    """Recorded answers of a classifier of `kind: llm`; a scorer for `Complexity`.

    Attributes:
        classifier: what was asked, and how answers are read.
        answers: by what was asked, the content of the one message of `classifier.request`.
    """

    classifier: LlmClassifier
    answers: Mapping[str, Answer] = field(repr=False)
    name: str = "complexity:llm"

    @staticmethod
    def cases(classifier: LlmClassifier, cases: Iterable[Case]) -> list[Case]:
        """Returns the suite to run the classifier's model on: what it is asked of every case, under the case's id."""
        return [Case(case.id, classifier.request(Reading(case.request)), group=case.group) for case in cases]

    @classmethod
    def recorded(cls, classifier: LlmClassifier, outcomes: Outcomes) -> Self:
        """Takes the answers of a run on the suite of `cases`, the first sample of each.

        Args:
            classifier: whose model is one of the outcomes'.
            outcomes: of that suite, with answers.

        Raises:
            OutcomesError: it has no such model, or no texts are kept.
        """
        alone = outcomes.select((classifier.model,))
        held = alone.answers
        found: dict[str, Answer] = {}
        for row, request in enumerate(alone.requests):
            status = alone.status[row, 0, 0]
            if status == MISSING or not request.messages:
                continue
            cost, latency = alone.cost_usd[row, 0, 0], alone.latency_s[row, 0, 0]
            said = None if held is None else held.get(str(alone.cases.ids[row]), classifier.model, 0)
            if said is None and status != ERROR:
                continue
            found[_asked(request)] = Answer(
                None if said is None or status == ERROR else said.text,
                latency_s=None if np.isnan(latency) else float(latency),
                cost_usd=None if np.isnan(cost) else float(cost),
            )
        if not any(answer.text for answer in found.values()):
            raise OutcomesError(
                f"suite {outcomes.suite!r}: no answer of {classifier.model} is kept, so there is nothing to read a "
                "score from; run it with `store: {text: full}`"
            )
        return cls(classifier, found)

    def ask(self, model: str, place: Deployment, request: Request) -> Answer:  # noqa: ARG002 - recorded anywhere
        """Answers as was recorded: the `ask` of a router that replays a rules.yaml.

        Raises:
            OutcomesError: this was not asked in the run.
        """
        answer = self.answers.get(_asked(request)) if model == self.classifier.model else None
        if answer is None:
            raise OutcomesError(f"{self.name}: no answer of {model} was recorded to {_asked(request)!r:.80}")
        return answer

    def fit(
        self,
        requests: Sequence[Request],
        gain: FloatArray,  # noqa: ARG002 - nothing is learned
        weight: FloatArray,  # noqa: ARG002
        folds: Sequence[tuple[IntArray, IntArray]],  # noqa: ARG002
    ) -> FloatArray:
        """Scores requests; nothing is learned.

        Raises:
            OutcomesError: no answer was recorded for any of them.
        """
        scores = self.scores(requests)
        if np.isnan(scores).all():
            raise OutcomesError(
                f"{self.name}: no answer of {self.classifier.model} was recorded for any of {len(scores)} requests; "
                "run the suite that `LlmScores.cases` returns"
            )
        return scores

    def scores(self, requests: Sequence[Request]) -> FloatArray:
        """Scores requests, shape (n,); NaN where nothing was recorded, infinite where the answer is of no use."""
        found = [self._score(answer) for answer in self._answers(requests)]
        return np.array(found, dtype=float)

    def deciding(self, requests: Sequence[Request]) -> Deciding:
        """What asking cost and how long it took."""
        answers = self._answers(requests)
        return Deciding(
            np.array([_number(None if one is None else one.cost_usd) for one in answers]),
            np.array([_number(None if one is None else one.latency_s) for one in answers]),
        )

    def written(self) -> tuple[dict[str, Any], LlmClassifier]:
        """How a rules.yaml says it, and the classifier."""
        one = self.classifier
        said = {} if one.prompt == DEFAULT_PROMPT else {"prompt": one.prompt}
        return {"kind": "llm", "model": one.model, **said, "scale": list(one.scale)}, one

    def _answers(self, requests: Sequence[Request]) -> list[Answer | None]:
        return [self.answers.get(_asked(self.classifier.request(one))) for one in readings(requests)]

    def _score(self, answer: Answer | None) -> float:
        if answer is None:
            return np.nan
        score = self.classifier.score(answer)
        return np.inf if score is None else score


def _asked(request: Request) -> str:
    return str(request.messages[0]["content"])


def _number(value: float | None) -> float:
    return np.nan if value is None else value
