from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routebench.errors import RulesError
from routebench.rules.learned.artifact import write_artifact
from routebench.rules.learned.classifier import Heuristic, Logistic, load_classifier
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead, logistic
from routebench.rules.learned.settings import ClassifierSettings
from routebench.rules.learned.surface import SURFACE
from routebench.rules.reading.request import Reading
from routebench.types import Request

SPEC = FeatureSpec(128, bigrams=True)
EASY = [
    "say hello to the new team",
    "what time is it",
    "thanks a lot",
    "name a colour",
    "hi there",
    "spell the word cat",
]
HARD = [
    "prove that the integral of 1/x diverges, step by step",
    "```py\ndef f(x): return x\n```\nrefactor and prove it terminates",
    "derive the gradient: f(x) = x^2 + 3x; compare 4 methods",
    "integrate sin(x) * e^x = ? and prove the bound 1 <= 2",
]


def read(text: str) -> Reading:
    return Reading(Request(({"role": "user", "content": text},)))


def trained() -> LinearHead:
    """Logistic regression by gradient descent on a toy task."""
    readings = [read(text) for text in (*EASY, *HARD)]
    wanted = np.array([0.0] * len(EASY) + [1.0] * len(HARD))
    features, weights, bias = SPEC.matrix(readings).astype(float), np.zeros(SPEC.width), 0.0
    for _ in range(2000):
        error = 1 / (1 + np.exp(-(features @ weights + bias))) - wanted
        weights -= 0.05 * features.T @ error
        bias -= 0.05 * error.sum()
    return LinearHead(weights[None], np.array([bias]), SPEC)


def settings(**given: Any) -> ClassifierSettings:
    return ClassifierSettings.model_validate(given)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_trained_classifier_survives_its_file_to_the_last_bit(tmp_path: Path, suffix: str) -> None:
    head = trained()
    digest = head.save(tmp_path / f"toy{suffix}")
    classifier = load_classifier(
        settings(kind="logistic", artifact=f"toy{suffix}", sha256=digest), tmp_path, where="rules.yaml:3:1"
    )
    for text in (*EASY, *HARD, "", "合同 \ud800", "prove hello"):
        assert classifier.score(read(text)) == Logistic(head).score(read(text)) == head.predict(read(text))[0]
    assert max(classifier.score(read(text)) for text in EASY) < 0.2
    assert min(classifier.score(read(text)) for text in HARD) > 0.8
    assert classifier.score(read("prove the bound of the integral: 3x = 4")) > classifier.score(read("hello team"))
    loaded = LinearHead.load(tmp_path / f"toy{suffix}", digest)
    assert loaded.weights.tobytes() == head.weights.tobytes()
    assert (loaded.bias.tobytes(), loaded.spec, loaded.link) == (head.bias.tobytes(), SPEC, "logistic")
    assert loaded.save(tmp_path / f"again{suffix}") == digest


@given(st.lists(st.text(st.characters(), max_size=60), max_size=4), st.integers(1, 3), st.sampled_from(["logistic", "identity"]))  # fmt: skip
def test_a_head_is_the_weighted_sum_of_the_vector(texts: list[str], m: int, link: Any) -> None:
    rng = np.random.default_rng(m)
    head = LinearHead(rng.normal(size=(m, SPEC.width)), rng.normal(size=m), SPEC, link)
    readings = [read(text) for text in texts]
    many = head.predict_many(readings)
    assert many.shape == (len(texts), m)
    for row, reading in zip(many, readings, strict=True):
        assert row.tobytes() == head.predict(reading).tobytes() == np.array(head.outputs(reading)).tobytes()
        sums = head.weights.astype(float) @ SPEC.vector(reading).astype(float) + head.bias
        expected = sums if link == "identity" else 1 / (1 + np.exp(-sums))
        assert row == pytest.approx(expected, abs=1e-5)


def test_words_in_another_order_score_the_same_to_the_last_bit() -> None:
    spec = FeatureSpec(8, surface=False)
    head = LinearHead(np.random.default_rng(0).normal(size=(1, 8)), np.array([0.1]), spec)
    words = [f"w{number}" for number in range(40)]
    assert head.outputs(read(" ".join(words))) == head.outputs(read(" ".join(reversed(words))))


@pytest.mark.parametrize(
    ("weights", "bias", "says"),
    [
        (np.zeros((1, 3)), np.zeros(1), "does not fit features of width"),
        (np.zeros(SPEC.width), np.zeros(1), "does not fit"),
        (np.zeros((2, SPEC.width)), np.zeros(1), "does not fit"),
        (np.full((1, SPEC.width), np.nan), np.zeros(1), "not finite"),
        (np.zeros((1, SPEC.width)), np.array([np.inf]), "not finite"),
    ],
)
def test_a_head_that_fits_nothing_is_refused(weights: Any, bias: Any, says: str) -> None:
    with pytest.raises(RulesError, match=says):
        LinearHead(weights, bias, SPEC)


GOOD = {"weights": np.zeros((1, SPEC.width), np.float32), "bias": np.zeros(1, np.float32)}
ABOUT = {"kind": "linear_head", "link": "logistic", "features": SPEC.as_dict()}


@pytest.mark.parametrize(
    ("tensors", "about", "says"),
    [
        (GOOD, {**ABOUT, "kind": "library"}, "this artifact is a 'library', not a 'linear_head'"),
        ({"weights": GOOD["weights"]}, ABOUT, "has the tensors weights, bias, not 'weights'"),
        ({**GOOD, "weights": np.zeros((1, 5))}, ABOUT, f"weights is 1 x 5; it must be 1 x {SPEC.width}"),
        ({**GOOD, "bias": np.zeros((1, 1))}, ABOUT, "bias is 1 x 1; it must be n"),
        ({**GOOD, "bias": np.array([np.nan])}, ABOUT, "bias is NaN"),
        (GOOD, {**ABOUT, "link": "probit"}, "the link 'probit' is none of logistic, identity"),
        (GOOD, {**ABOUT, "link": ["logistic"]}, "is none of logistic, identity"),
        (GOOD, {"kind": "linear_head", "link": "logistic"}, "the artifact's features are a mapping"),
        (GOOD, {**ABOUT, "features": {**SPEC.as_dict(), "version": "v9"}}, "features of version 'v9'"),
        (GOOD, {**ABOUT, "link": "identity"}, "one output with the logistic link"),
        ({"weights": np.zeros((2, SPEC.width)), "bias": np.zeros(2)}, ABOUT, "this one has 2"),
    ],
)
def test_an_artifact_that_is_no_classifier_is_refused(tmp_path: Path, tensors: Any, about: Any, says: str) -> None:
    digest = write_artifact(tmp_path / "a.json", tensors, about)
    with pytest.raises(RulesError, match=says) as raised:
        load_classifier(settings(kind="logistic", artifact="a.json", sha256=digest), tmp_path, where="rules.yaml:3:1")
    assert str(raised.value).startswith("rules.yaml:3:1: ")


def test_a_classifier_changed_or_elsewhere_is_refused(tmp_path: Path) -> None:
    trained().save(tmp_path / "a.json")
    for artifact, says in (("a.json", "was changed"), ("b.json", "no artifact"), ("../a.json", "not inside")):
        with pytest.raises(RulesError, match=says):
            load_classifier(settings(kind="logistic", artifact=artifact, sha256="0" * 64), tmp_path, where="r")


def test_a_heuristic_is_a_logistic_function_of_what_is_written(tmp_path: Path) -> None:
    said = settings(kind="heuristic", weights={"log_words": 0.5, "has_code": 2}, bias=-1)
    classifier = load_classifier(said, tmp_path, where="r")
    assert classifier.score(read("a b c")) == pytest.approx(1 / (1 + math.exp(1 - 0.5 * math.log1p(3))))
    assert classifier.score(read("```a b c```")) == pytest.approx(1 / (1 + math.exp(-1 - 0.5 * math.log1p(3))))
    assert classifier.why(read("```a b c```")) == "has_code +2.00, log_words +0.69"
    assert classifier.why(read("")) == "nothing speaks for more or less"
    every = Heuristic(dict.fromkeys(SURFACE, 1e6), -1e6)
    assert every.score(read("x")) == 1
    assert Heuristic(dict.fromkeys(SURFACE, -1e6)).score(read("x")) == 0


def test_a_learned_classifier_says_what_it_saw() -> None:
    weights = np.zeros((1, SPEC.width))
    weights[0, 128 + SURFACE.index("is_question")] = 1.5
    weights[0, 128 + SURFACE.index("log_words")] = -2
    classifier = Logistic(LinearHead(weights, np.zeros(1), SPEC))
    assert classifier.why(read("why?")) == "is_question +1.50, log_words -1.39"
    words = FeatureSpec(1, surface=False)
    assert Logistic(LinearHead(np.ones((1, 1)), np.zeros(1), words)).why(read("the")) in ("words +1.00", "words -1.00")


@given(st.floats(-1e308, 1e308))
def test_the_logistic_function_never_overflows(total: float) -> None:
    assert 0 <= logistic(total) <= 1
    assert logistic(total) + logistic(-total) == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "logistic"}, "needs `artifact` and its `sha256`"),
        ({"kind": "logistic", "artifact": "a.json"}, "needs `artifact` and its `sha256`"),
        ({"kind": "logistic", "artifact": "a.json", "sha256": "..."}, "sha256"),
        ({"kind": "logistic", "artifact": "", "sha256": "0" * 64}, "artifact"),
        (
            {"kind": "logistic", "artifact": "a.json", "sha256": "0" * 64, "bias": 0},
            "a logistic classifier has no bias: leave it out",
        ),
        ({"kind": "heuristic"}, "needs `weights`, such as"),
        ({"kind": "heuristic", "weights": {}}, "weights"),
        ({"kind": "heuristic", "weights": {"log_word": 1}}, "no surface feature 'log_word' .did you mean 'log_words'"),
        ({"kind": "heuristic", "weights": {"zzz": 1}}, "there are log_characters, .*language_unknown"),
        ({"kind": "heuristic", "weights": {"digits": math.inf}}, "weights"),
        ({"kind": "heuristic", "weights": {"digits": 1e7}}, "weights"),
        ({"kind": "heuristic", "weights": {"digits": 1}, "bias": math.nan}, "bias"),
        ({"kind": "heuristic", "weights": {"digits": 1}, "artifact": "a.json"}, "has no artifact: leave it out"),
        ({"kind": "tree"}, "kind"),
    ],
)
def test_settings_that_do_not_fit_say_the_mend(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(**given)


def test_a_heuristic_needs_no_numpy() -> None:
    code = (
        "import sys; from pathlib import Path; from routebench.rules.learned.classifier import load_classifier;"
        "from routebench.rules.learned.settings import ClassifierSettings; from routebench.rules.reading.request import Reading;"
        "from routebench.types import Request;"
        "said = ClassifierSettings.model_validate({'kind': 'heuristic', 'weights': {'digits': 1}});"
        "print(load_classifier(said, Path(), where='r').score(Reading(Request(({'role': 'user', 'content': 'x'},)))),"
        "'numpy' in sys.modules, 'safetensors' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0.5 False False\n"
