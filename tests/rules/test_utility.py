from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.errors import RulesError
from routebench.rules import Default, Guard, Learned, Router, RuleSet
from routebench.rules.comparing.changes import changes
from routebench.rules.learned.artifact import write_artifact
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead, sparse_rows
from routebench.rules.learned.settings import LearnedSettings
from routebench.rules.learned.surface import SURFACE
from routebench.rules.learned.utility import UtilityHead, load_utility_head
from routebench.rules.reading.request import Reading
from routebench.types import Request
from tests.conftest import make_model

SPEC = FeatureSpec(64)
MODELS = ("small", "middle", "large")


def read(text: str) -> Reading:
    return Reading(Request(({"role": "user", "content": text},)))


def by_length() -> UtilityHead:
    """Small where the text is short, large where it is long; middle is never the best."""
    weights = np.zeros((3, SPEC.width))
    weights[2, 64 + SURFACE.index("log_words")] = 0.25
    return UtilityHead(LinearHead(weights, np.array([0.5, 0.25, 0.0]), SPEC, "identity"), MODELS)


SHORT, LONG = "say hello", "say hello " * 10


def test_models_are_tried_by_their_predicted_utility() -> None:
    head = by_length()
    assert head.rank(read(SHORT)) == ("small", "large", "middle")
    assert head.rank(read(LONG)) == ("large", "small", "middle")
    assert head.utilities(read(SHORT)) == pytest.approx({"small": 0.5, "large": 0.25 * np.log(3), "middle": 0.25})
    assert head.why(read(LONG), "large", "small") == "log_words +0.76, bias -0.50"


def test_many_requests_are_ranked_as_one_by_one() -> None:
    rng = np.random.default_rng(2)
    weights = np.round(rng.normal(size=(3, SPEC.width)), 1)
    weights[:, 64:] = 0
    weights[1] = weights[0]
    head = UtilityHead(LinearHead(weights, np.zeros(3), SPEC, "identity"), MODELS)
    readings = [read(" ".join(rng.choice(["prove", "sing", "hello", "2 + 2 = ?", "Straße"], 6))) for _ in range(40)]
    ranked = head.rank_rows(sparse_rows(SPEC, readings))
    assert [tuple(MODELS[place] for place in row) for row in ranked] == [head.rank(reading) for reading in readings]
    assert len({head.rank(reading) for reading in readings}) > 1


def test_what_machines_add_up_otherwise_decides_nothing() -> None:
    bias = np.array([0.5, 0.5 + 3e-10, 0.5])
    tied = UtilityHead(LinearHead(np.zeros((3, SPEC.width)), bias, SPEC, "identity"), MODELS)
    tied.head._bias = bias.tolist()
    assert tied.rank(read(SHORT)) == MODELS


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_sixteen_bits_are_kept_and_what_is_loaded_is_what_was_measured(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(1)
    exact = UtilityHead(LinearHead(rng.normal(size=(3, SPEC.width)), rng.normal(size=3), SPEC, "identity"), MODELS)
    rounded = exact.halved()
    digest = exact.save(tmp_path / f"a{suffix}")
    assert rounded.save(tmp_path / f"b{suffix}") == digest
    loaded = UtilityHead.load(tmp_path / f"a{suffix}", digest)
    assert loaded.models == MODELS
    assert loaded.head.weights.tobytes() == rounded.head.weights.tobytes()
    assert loaded.head.weights.tobytes() != exact.head.weights.tobytes()
    for text in (SHORT, LONG, "", "合同"):
        assert loaded.utilities(read(text)) == rounded.utilities(read(text))
        assert loaded.utilities(read(text)) == pytest.approx(exact.utilities(read(text)), abs=1e-2)
    full = exact.save(tmp_path / f"c{suffix}", half=False)
    assert UtilityHead.load(tmp_path / f"c{suffix}", full).head.weights.tobytes() == exact.head.weights.tobytes()


def test_fourteen_models_fit_into_sixteen_kilobytes(tmp_path: Path) -> None:
    spec = FeatureSpec(512)
    names = tuple(f"provider/model-{number}" for number in range(14))
    head = UtilityHead(
        LinearHead(np.random.default_rng(0).normal(size=(14, spec.width)), np.zeros(14), spec, "identity"), names
    )
    head.save(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size <= 16 * 1024


def test_a_weight_that_sixteen_bits_cannot_hold_is_refused(tmp_path: Path) -> None:
    head = LinearHead(np.full((1, SPEC.width), 7e4), np.zeros(1), SPEC)
    with pytest.raises(RulesError, match="too large for 16 bits"):
        head.save(tmp_path / "a.json", half=True)
    assert LinearHead.load(tmp_path / "a.json", head.save(tmp_path / "a.json")).weights[0, 0] == 7e4


def test_many_requests_at_once_have_the_same_numbers() -> None:
    head = by_length().head
    readings = [read(text) for text in (SHORT, "", LONG, "x")]
    rows = sparse_rows(SPEC, readings)
    assert rows.starts[-1] == len(rows.columns) == len(rows.values)
    alone = np.array([head.outputs(reading) for reading in readings])
    assert head.predict_rows(rows).tobytes() == head.predict_many(readings).tobytes() == alone.tobytes()
    assert head.predict_many([]).shape == (0, 3)
    words = FeatureSpec(8, surface=False)
    few = LinearHead(np.ones((2, 8)), np.zeros(2), words, "identity")
    assert few.outputs(read("")) == [0.0, 0.0]
    assert [abs(value) for value in few.outputs(read("one"))] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("link", "models", "says"),
    [
        ("logistic", MODELS, "its link must be identity, not logistic"),
        ("identity", ("small", "large"), "3 outputs needs 3 different models, not 2"),
        ("identity", ("small", "large", "small"), "different models"),
    ],
)
def test_parts_that_do_not_fit_are_refused(link: Any, models: tuple[str, ...], says: str) -> None:
    with pytest.raises(RulesError, match=says):
        UtilityHead(LinearHead(np.zeros((3, SPEC.width)), np.zeros(3), SPEC, link), models)


def said(digest: str, artifact: str = "worth.json") -> LearnedSettings:
    return LearnedSettings.model_validate({"head": {"artifact": artifact, "sha256": digest}})


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"models": None}, "no list of models"),
        ({"models": ["small", 3, "large"]}, "no list of models"),
        ({"models": ["small"]}, "needs 3 different models"),
        ({"link": "logistic"}, "its link must be identity"),
        ({"kind": "library"}, "is a 'library', not a 'linear_head'"),
    ],
)
def test_an_artifact_that_is_no_head_of_models_is_refused(tmp_path: Path, about: Any, says: str) -> None:
    good = {"kind": "linear_head", "link": "identity", "features": SPEC.as_dict(), "models": list(MODELS)}
    tensors = {"weights": np.zeros((3, SPEC.width)), "bias": np.zeros(3)}
    digest = write_artifact(tmp_path / "worth.json", tensors, good | about)
    with pytest.raises(RulesError, match=says) as raised:
        load_utility_head(said(digest), tmp_path, MODELS, where="rules.yaml:9:2")
    assert str(raised.value).startswith("rules.yaml:9:2: ")
    assert load_utility_head(
        said(write_artifact(tmp_path / "worth.json", tensors, good)), tmp_path, MODELS, where="r"
    ).models == MODELS  # fmt: skip


def test_models_may_be_missing_but_none_may_be_unknown(tmp_path: Path) -> None:
    digest = by_length().save(tmp_path / "worth.json")
    assert load_utility_head(said(digest), tmp_path, (*MODELS, "huge"), where="r").models == MODELS
    with pytest.raises(RulesError, match=r"r: the head knows 'large', not among `models`.*routebench tune"):
        load_utility_head(said(digest), tmp_path, ("small", "middle"), where="r")


TEXT = """
schema: routebench/rules/v1
name: t
models:
  small: {{provider: openai, model: s}}
  middle: {{provider: openai, model: m}}
  large: {{provider: openai, model: l}}
  huge: {{provider: openai, model: h}}
cascade:
  stopped: {{finish: [stop]}}
learned:
  head: {{artifact: worth.safetensors, sha256: "{digest}"}}
  cascade: stopped
default: {{route: [huge]}}
"""


def test_a_file_says_it_and_is_written_as_it_was_read(tmp_path: Path) -> None:
    digest = by_length().save(tmp_path / "worth.safetensors")
    ruleset = RuleSet.parse(TEXT.format(digest=digest), folder=tmp_path)
    decision = Router(ruleset).route([{"role": "user", "content": LONG}])
    assert (decision.chain, decision.rule, decision.cascade) == (("large", "small", "middle"), "learned", "stopped")
    assert RuleSet.parse(ruleset.to_yaml(), folder=tmp_path) == ruleset
    other = UtilityHead(by_length().head, ("large", "small", "middle")).save(tmp_path / "worth.safetensors")
    with pytest.raises(RulesError, match="was changed after the rules were written"):
        RuleSet.parse(ruleset.to_yaml(), folder=tmp_path)
    again = RuleSet.parse(TEXT.format(digest=other), folder=tmp_path)
    assert again.policy_sha256 != ruleset.policy_sha256
    assert changes(ruleset, again) == ("learned changed",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  cascade: stopped", "  cascade: stoped", "no check 'stoped' (did you mean 'stopped'?)"),
        (
            "learned:\n",
            "rules: [{name: learned, when: {words: {gt: 1}}, route: [small]}]\nlearned:\n",
            "called 'learned'",
        ),
        ("  cascade: stopped", "  models: [small]", "unknown key 'models'; known here: head, cascade"),
        ("learned:\n  head: {", "learned:\n  hed: {", "unknown key 'hed' (did you mean 'head'?)"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = TEXT.format(digest=by_length().save(tmp_path / "worth.safetensors"))
    assert old in text
    with pytest.raises(RulesError) as raised:
        RuleSet.parse(text.replace(old, new), folder=tmp_path)
    assert any(says in problem and problem.startswith("rules.yaml:") for problem in raised.value.problems)


def test_guards_stand_above_it_and_where_nothing_is_left_the_next_phase_decides() -> None:
    models = {name: make_model(name) for name in (*MODELS, "huge")}
    for only, chain, rule in ((("middle",), ("middle",), "learned"), (("huge",), ("huge",), "default")):
        ruleset = RuleSet(
            "t", models, Default(route=("small",)), guards=(Guard("g", {"words": {"ge": 1}}, only=only),),
            learned=Learned({}, by_length()),
        )  # fmt: skip
        decision = Router(ruleset).explain([{"role": "user", "content": SHORT}])
        assert (decision.chain, decision.rule) == (chain, rule)


def test_an_explanation_names_the_runner_up_and_the_distance() -> None:
    models = {name: make_model(name) for name in MODELS}
    ruleset = RuleSet("t", models, Default(route=("small",)), learned=Learned({}, by_length()))
    decision = Router(ruleset).explain([{"role": "user", "content": LONG}])
    assert decision.why == "the highest predicted utility"
    assert decision.counterfactuals == (
        "predicted utilities: large 0.761, small 0.500, middle 0.250",
        "large is 0.261 ahead of small, which comes from: log_words +0.76, bias -0.50",
    )
