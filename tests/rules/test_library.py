from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routebench.errors import RulesError
from routebench.rules.learned.artifact import read_artifact, write_artifact
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.library import Library, build_library, load_library
from routebench.rules.learned.postings import Postings
from routebench.rules.learned.settings import SimilaritySettings
from routebench.rules.reading.request import Reading
from routebench.types import Request

SPEC = FeatureSpec(256, surface=False)
TEXTS = ["review this contract", "review this lease contract", "bake a chocolate cake", "bake bread", "sing a song"]
NAN = math.nan
SCORES = [[0.2, 0.9], [0.3, 0.8], [0.9, 0.6], [1.0, NAN], [NAN, NAN]]
MODELS = ("small", "large")


def read(text: str) -> Reading:
    return Reading(Request(({"role": "user", "content": text},)))


def build(scores: Any = SCORES, costs_usd: Any = (0.001, 0.02), **changes: Any) -> Library:
    library = build_library([read(text) for text in TEXTS], np.array(scores), costs_usd, MODELS, SPEC)
    return Library(library.vectors, library.scores, library.costs_usd, MODELS, SPEC, **changes)


def test_scores_of_similar_prompts_are_weighted_and_shrunk_by_the_formula() -> None:
    library = build(k=3, shrinkage=0.5)
    query = read("review the contract")
    cosines = library.vectors.astype(float) @ SPEC.vector(query).astype(float)
    nearest = np.argsort(-cosines, kind="stable")[:3]
    expected = []
    for column in range(2):
        known = [row[column] for row in SCORES if not math.isnan(row[column])]
        top, bottom = 0.5 * sum(known) / len(known), 0.5
        for place in nearest:
            if not math.isnan(SCORES[place][column]):
                top += max(0, cosines[place]) ** 2 * SCORES[place][column]
                bottom += max(0, cosines[place]) ** 2
        expected.append(top / bottom)
    found = library.predict(query)
    assert found.scores == pytest.approx(expected, abs=1e-5)
    assert found.similarity == pytest.approx(cosines.max(), abs=1e-5)
    assert found.n == 3


def test_the_models_that_did_best_on_similar_prompts_come_first() -> None:
    library = build()
    assert library.rank(read("review this contract")) == (("large", "small"), 1.0)
    assert library.rank(read("bake a chocolate cake")) == (("small", "large"), 1.0)
    assert library.predict(read("")).n == 5


def test_with_nothing_similar_the_means_stand() -> None:
    for shrinkage in (0.0, 0.3):
        found = build(shrinkage=shrinkage).predict(read(""))
        assert found.scores == pytest.approx([0.6, (0.9 + 0.8 + 0.6) / 3])
        assert found.similarity == 0


def test_below_the_least_similarity_there_is_no_answer() -> None:
    assert build(min_similarity=0.0).rank(read("")) is not None
    assert build(min_similarity=0.01).rank(read("")) is None
    assert build(min_similarity=1.0).rank(read("bake bread")) is not None
    assert build(min_similarity=1.0).rank(read("bake bread now")) is None


def test_cost_counts_and_an_unknown_one_is_the_dearest() -> None:
    contract = read("review this contract")
    assert build(cost_weight=100).rank(contract) == (("small", "large"), 1.0)
    # 0.02 is the dearest known one: both cost the same, and scores decide.
    assert build(cost_weight=100, costs_usd=(None, 0.02)).rank(contract) == (("large", "small"), 1.0)
    assert build(cost_weight=100, costs_usd=(None, None)).rank(contract) == (("large", "small"), 1.0)


def test_a_model_nobody_scored_comes_last_and_stays_unknown() -> None:
    library = build(scores=[[NAN, 0.0]] * 5)
    found = library.predict(read("bake bread"))
    assert math.isnan(found.scores[0])
    assert found.scores[1] == 0
    assert library.rank(read("bake bread")) == (("large", "small"), 1.0)


def test_equally_similar_prompts_count_in_their_order() -> None:
    same = [read("bake bread")] * 6
    scores = np.array([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 4)
    library = build_library(same, scores, (None, None), MODELS, SPEC)
    kept = Library(library.vectors, library.scores, library.costs_usd, MODELS, SPEC, k=3, shrinkage=0)
    assert kept.predict(read("bake bread")).scores == pytest.approx([2 / 3, 1 / 3])
    tied = build_library(same, np.full((6, 2), 0.5), (None, None), MODELS, SPEC)
    assert tied.rank(read("bake bread")) == (MODELS, 1.0)


@given(st.data())
def test_postings_are_the_product_of_matrix_and_vector(data: st.DataObject) -> None:
    n, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    small = st.sampled_from([0.0, 0.0, 0.5, -0.25, 1.0])
    rows = np.array(data.draw(st.lists(st.lists(small, min_size=width, max_size=width), min_size=n, max_size=n)))
    columns = data.draw(st.lists(st.integers(0, width - 1), unique=True))
    values = data.draw(st.lists(small, min_size=len(columns), max_size=len(columns)))
    query = np.zeros(width)
    query[columns] = values
    found = Postings.of(rows.astype(np.float32)).products(columns, values)
    assert found.tolist() == (rows @ query).tolist()


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_library_survives_its_file_and_holds_no_text(tmp_path: Path, suffix: str) -> None:
    library = build()
    path = tmp_path / f"library{suffix}"
    digest = library.save(path)
    loaded = Library.load(path, digest)
    assert (loaded.models, loaded.spec) == (MODELS, SPEC)
    for name in ("vectors", "scores", "costs_usd"):
        assert getattr(loaded, name).tobytes() == getattr(library, name).tobytes()
    for text in (*TEXTS, "", "unheard of"):
        assert loaded.rank(read(text)) == library.rank(read(text))
    content = path.read_bytes().lower()
    assert not [word for text in TEXTS for word in text.split() if len(word) > 3 and word.encode() in content]
    assert loaded.save(tmp_path / f"again{suffix}") == digest


def test_half_the_size_keeps_the_order(tmp_path: Path) -> None:
    library = build()
    library.save(tmp_path / "full.safetensors")
    library.save(tmp_path / "half.safetensors", half=True)
    stored = read_artifact(tmp_path / "half.safetensors", None, where="r").tensors["vectors"]
    assert stored.dtype == np.float16
    loaded = Library.load(tmp_path / "half.safetensors")
    assert loaded.vectors.dtype == np.float32
    for text in TEXTS:
        ours, theirs = library.rank(read(text)), loaded.rank(read(text))
        assert ours is not None
        assert theirs is not None
        assert theirs[0] == ours[0]
        assert theirs[1] == pytest.approx(ours[1], abs=1e-3)


def said(digest: str, artifact: str = "library.json", **more: Any) -> SimilaritySettings:
    return SimilaritySettings.model_validate({"library": {"artifact": artifact, "sha256": digest}, **more})


def test_rules_say_how_the_library_is_used(tmp_path: Path) -> None:
    digest = build().save(tmp_path / "library.json")
    plain = load_library(said(digest), tmp_path, ("large", "small"), where="r")
    assert (plain.k, plain.shrinkage, plain.min_similarity, plain.cost_weight) == (24, 0.3, 0.0, 0.0)
    more = said(digest, k=1, shrinkage=0, min_similarity=0.9, cost_weight=2)
    used = load_library(more, tmp_path, MODELS, where="r")
    assert (used.k, used.shrinkage, used.min_similarity, used.cost_weight) == (1, 0, 0.9, 2)
    assert used.predict(read("bake bread")).n == 1


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (("small",), "the library knows 'large', which is not among `models`"),
        (("small", "large", "huge"), "the library does not know the model 'huge'"),
        (("small", "Large"), "knows 'large'.*does not know the model 'Large'"),
    ],
)
def test_a_library_of_other_models_is_refused(tmp_path: Path, models: tuple[str, ...], says: str) -> None:
    digest = build().save(tmp_path / "library.json")
    with pytest.raises(RulesError, match=f"rules.yaml:9:2: .*{says}.*routebench tune"):
        load_library(said(digest), tmp_path, models, where="rules.yaml:9:2")
    assert build().problem_with(("large", "small")) is None


def test_a_library_changed_or_elsewhere_is_refused(tmp_path: Path) -> None:
    build().save(tmp_path / "library.json")
    for artifact, problem in (("library.json", "was changed"), ("b.json", "no artifact"), ("/b.json", "not inside")):
        with pytest.raises(RulesError, match=problem):
            load_library(said("0" * 64, artifact), tmp_path, MODELS, where="r")


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    vectors = np.zeros((2, 256), np.float32)
    vectors[:, 3] = 1
    tensors = {"vectors": vectors, "scores": np.ones((2, 2), np.float32), "costs_usd": np.zeros(2)}
    return tensors, {"kind": "library", "models": ["small", "large"], "features": SPEC.as_dict()}


@pytest.mark.parametrize(
    ("tensors", "about", "says"),
    [
        ({"scores": np.ones((3, 2))}, {}, "scores is 3 x 2; it must be 2 x 2"),
        ({"costs_usd": np.ones(3)}, {}, "costs_usd is 3; it must be 2"),
        ({"vectors": np.ones((2, 5))}, {}, "vectors is 2 x 5; it must be n x 256"),
        ({"vectors": np.full((2, 256), NAN)}, {}, "vectors is NaN"),
        ({"vectors": np.ones((2, 256))}, {}, "not of length 1"),
        ({"scores": np.full((2, 2), 1.5)}, {}, "not between 0 and 1"),
        ({"scores": np.full((2, 2), -0.1)}, {}, "not between 0 and 1"),
        ({"costs_usd": np.array([0, -1.0])}, {}, "below 0"),
        ({"extra": np.ones(1)}, {}, "has the tensors vectors, scores, costs_usd, not"),
        ({}, {"kind": "linear_head"}, "is a 'linear_head', not a 'library'"),
        ({}, {"models": "small"}, "no list of models"),
        ({}, {"models": ["small", 3]}, "no list of models"),
        ({}, {"models": ["small", "small"]}, "different names"),
        ({}, {"features": {}}, "the artifact's features need hashed_words"),
        ({"vectors": np.ones((2, 283))}, {"features": FeatureSpec(256).as_dict()}, "`surface` must be false"),
    ],
)
def test_an_artifact_that_is_no_library_is_refused(tmp_path: Path, tensors: Any, about: Any, says: str) -> None:
    good, known = parts()
    path = tmp_path / "library.safetensors"
    write_artifact(path, {**good, **tensors}, {**known, **about})
    with pytest.raises(RulesError, match=says) as raised:
        Library.load(path, where="rules.yaml:9:2")
    assert str(raised.value).startswith("rules.yaml:9:2: ")
    write_artifact(path, good, known)
    assert Library.load(path).models == MODELS


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"k": 0}, "k"),
        ({"shrinkage": -1}, "shrinkage"),
        ({"min_similarity": 1.1}, "min_similarity"),
        ({"cost_weight": math.inf}, "cost_weight"),
        ({"library": {"artifact": "a.json"}}, "sha256"),
        ({"library": None}, "library"),
        ({"models": ["a"]}, "models"),
    ],
)
def test_settings_out_of_bounds_are_refused(given: dict[str, Any], says: str) -> None:
    whole = {"library": {"artifact": "a.json", "sha256": "0" * 64}}
    assert SimilaritySettings.model_validate(json.loads(json.dumps(whole))).k == 24
    with pytest.raises(ValidationError, match=says):
        SimilaritySettings.model_validate({**whole, **given})
