from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routebench.embedding import unit_rows
from routebench.errors import InputError, RulesError
from routebench.rules import Default, Router, RuleSet
from routebench.rules.learned.artifact import read_artifact, write_artifact
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.library import Library, Usage, build_library, load_library, shrunk
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


def build(scores: Any = SCORES, costs_usd: Any = (0.001, 0.02), **usage: Any) -> Library:
    return build_library(
        [read(text) for text in TEXTS], np.array(scores), costs_usd, MODELS, SPEC, usage=Usage(**usage)
    )


def test_scores_of_similar_prompts_are_weighted_and_shrunk_by_the_formula() -> None:
    library = build(k=3, shrinkage=0.5)
    query = read("review the contract")
    cosines = SPEC.matrix([read(text) for text in TEXTS]).astype(float) @ SPEC.vector(query).astype(float)
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
    kept = build_library(same, scores, (None, None), MODELS, SPEC, usage=Usage(k=3, shrinkage=0))
    assert kept.predict(read("bake bread")).scores == pytest.approx([2 / 3, 1 / 3])
    tied = build_library(same, np.full((6, 2), 0.5), (None, None), MODELS, SPEC)
    assert tied.rank(read("bake bread")) == (MODELS, 1.0)


def test_costs_are_those_of_similar_prompts_where_they_are_known() -> None:
    costs = [[0.001, 0.01], [0.003, 0.01], [0.2, 0.01], [0.4, 0.01], [NAN, 0.01]]
    library = build(costs_usd=costs, k=2, shrinkage=0)
    assert library.predict(read("review this contract")).costs_usd[0] < 0.003
    assert library.predict(read("bake bread")).costs_usd == pytest.approx([0.4, 0.01], abs=0.1)
    # Cheap for contracts, and too dear for cakes.
    assert build(costs_usd=costs, k=2, shrinkage=0, cost_weight=5).rank(read("bake bread")) == (("large", "small"), 1.0)
    assert build(costs_usd=costs, k=2, shrinkage=0, cost_weight=120).rank(read("review this contract"))[0][0] == "small"
    means = build(costs_usd=(0.001, None), k=2)
    assert means.predict(read("bake bread")).costs_usd == pytest.approx([0.001, NAN], nan_ok=True)


@given(st.data())
def test_what_is_unknown_changes_nothing(data: st.DataObject) -> None:
    numbers = st.floats(0, 1)
    k = data.draw(st.integers(1, 5))
    near = np.array(data.draw(st.lists(numbers, min_size=k, max_size=k)))
    known = np.array(data.draw(st.lists(numbers, min_size=k, max_size=k)))[:, None]
    mean, shrinkage = np.array([data.draw(numbers)]), data.draw(st.sampled_from([0.0, 0.5, 3.0]))
    found = shrunk(near, known, mean, shrinkage)
    more = shrunk(np.append(near, 1.0), np.append(known, [[NAN]], axis=0), mean, shrinkage)
    assert more == pytest.approx(found)
    assert min(known.min(), mean[0]) - 1e-9 <= found[0] <= max(known.max(), mean[0]) + 1e-9


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_library_survives_its_file_and_holds_no_text(tmp_path: Path, suffix: str) -> None:
    library = build()
    path = tmp_path / f"library{suffix}"
    digest = library.save(path)
    loaded = Library.load(path, digest)
    assert (loaded.models, loaded.reads, loaded.n) == (MODELS, SPEC, len(TEXTS))
    for text in (*TEXTS, "", "unheard of"):
        assert loaded.rank(read(text)) == library.rank(read(text))
    content = path.read_bytes().lower()
    assert not [word for text in TEXTS for word in text.split() if len(word) > 3 and word.encode() in content]
    assert loaded.save(tmp_path / f"again{suffix}") == digest


def test_half_the_size_keeps_the_order(tmp_path: Path) -> None:
    library = build()
    library.save(tmp_path / "full.safetensors")
    library.save(tmp_path / "half.safetensors", half=True)
    stored = read_artifact(tmp_path / "half.safetensors", None, where="r").tensors["values"]
    assert stored.dtype == np.float16
    loaded = Library.load(tmp_path / "half.safetensors")
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
    assert plain.usage == Usage(24, 0.3, 0.0, 0.0, None)
    more = said(digest, k=1, shrinkage=0, min_similarity=0.9, cost_weight=2)
    used = load_library(more, tmp_path, MODELS, where="r")
    assert used.usage == Usage(1, 0, 0.9, 2)
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
        ({"costs_usd": np.ones((3, 2))}, {}, "costs_usd is 3 x 2; it must be 2 x 2"),
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
        ({"embedder": ""}, "embedder"),
        ({"max_prompts": 0}, "max_prompts"),
    ],
)
def test_settings_out_of_bounds_are_refused(given: dict[str, Any], says: str) -> None:
    whole = {"library": {"artifact": "a.json", "sha256": "0" * 64}}
    assert SimilaritySettings.model_validate(json.loads(json.dumps(whole))).k == 24
    with pytest.raises(ValidationError, match=says):
        SimilaritySettings.model_validate({**whole, **given})


SPARSE = {
    "lengths": np.array([2.0, 0.0]),
    "columns": np.array([3.0, 9.0, 0.0]),
    "values": np.array([0.6, 0.8, 0.0]),
    "scores": np.ones((2, 2)),
    "costs_usd": np.zeros(2),
}


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"lengths": np.array([1.5, 0.5])}, "no rows of 256 columns"),
        ({"lengths": np.array([2.0, 1.0])}, "no rows of 256 columns"),
        ({"lengths": np.array([3.0, -1.0])}, "no rows of 256 columns"),
        ({"columns": np.array([3.0, 256.0, 0.0])}, "no rows of 256 columns"),
        ({"columns": np.array([9.0, 3.0, 0.0])}, "do not rise"),
        ({"columns": np.array([3.0, 3.0, 0.0])}, "do not rise"),
        ({"values": np.array([0.6, 0.8])}, "values is 2; it must be 3"),
        ({"values": np.array([0.6, 0.6, 0.0])}, "not of length 1"),
        ({"vectors": np.ones((2, 256))}, "has the tensors vectors, scores, costs_usd, not"),
    ],
)
def test_sparse_rows_that_are_none_are_refused(tmp_path: Path, tensors: Any, says: str) -> None:
    path = tmp_path / "library.safetensors"
    about = {"kind": "library", "models": ["small", "large"], "features": SPEC.as_dict()}
    write_artifact(path, SPARSE, about)
    assert Library.load(path).n == 2
    write_artifact(path, {**SPARSE, **tensors}, about)
    with pytest.raises(RulesError, match=says):
        Library.load(path)


def test_what_is_learned_counts_from_then_on() -> None:
    library = build(k=1, shrinkage=0).opened()
    haiku = read("write a haiku about rain")
    library.learn(haiku, {"small": 1.0, "large": 0.5}, {"small": 0.002})
    found = library.predict(haiku)
    assert (found.scores.tolist(), found.similarity, library.n) == ([1.0, 0.5], 1.0, 6)
    assert found.costs_usd == pytest.approx([0.002, 0.02])
    # Of one model nothing is known: its mean stands.
    library.learn(read("name a colour"), {"large": 0.0})
    assert library.predict(read("name a colour")).scores == pytest.approx([(0.2 + 0.3 + 0.9 + 1 + 1) / 5, 0.0])
    assert build().opened().rank(haiku) == build().rank(haiku)


def test_what_one_learns_another_does_not_know() -> None:
    library = build(k=1)
    one, other = library.opened(), library.opened()
    one.learn(read("a haiku"), {"small": 0.0})
    other.learn(read("a haiku"), {"small": 1.0})
    assert (one.n, other.n, library.n) == (6, 6, 5)
    assert one.predict(read("a haiku")).scores[0] < other.predict(read("a haiku")).scores[0]
    again = one.opened()
    one.learn(read("a sonnet"), {"small": 0.0})
    assert (one.n, again.n) == (7, 6)


@pytest.mark.parametrize(
    ("scores", "costs", "says"),
    [
        ({"smal": 1.0}, {}, "does not know the model 'smal' .did you mean 'small'"),
        ({"small": 1.5}, {}, "score 1.5 of 'small' is not between 0 and 1"),
        ({"small": NAN}, {}, "score nan of 'small'"),
        ({"small": 1.0}, {"huge": 1.0}, "does not know the model 'huge'"),
        ({"small": 1.0}, {"small": -1.0}, "cost -1.0 of 'small'"),
        ({}, {"small": 1.0}, "nothing to learn"),
    ],
)
def test_nothing_wrong_is_learned(scores: dict[str, float], costs: dict[str, float], says: str) -> None:
    library = build().opened()
    with pytest.raises(InputError, match=says):
        library.learn(read("bake bread"), scores, costs)
    assert library.n == len(TEXTS)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_what_was_learned_can_be_kept(tmp_path: Path, suffix: str) -> None:
    library = build(k=1).opened()
    library.learn(read("write a haiku"), {"small": 0.25}, {"small": 0.5})
    digest = library.save(tmp_path / f"grown{suffix}")
    loaded = Library.load(tmp_path / f"grown{suffix}", digest, usage=Usage(k=1))
    for text in (*TEXTS, "write a haiku", ""):
        assert loaded.rank(read(text)) == library.rank(read(text))
        assert loaded.predict(read(text)).costs_usd == pytest.approx(library.predict(read(text)).costs_usd)


def test_the_oldest_leave_when_there_are_too_many() -> None:
    library = build(k=1, shrinkage=0, max_prompts=6).opened()
    for number in range(40):
        library.learn(read(f"prompt{number} of many"), {"small": number / 40})
        assert library.n == 6
        assert library.predict(read(f"prompt{number} of many")).scores[0] == pytest.approx(number / 40)
    assert library.predict(read("bake bread")).similarity == 0
    assert library.predict(read("")).scores[0] == pytest.approx(np.mean([number / 40 for number in range(34, 40)]))
    with pytest.raises(RulesError, match=r"r.yaml: the library holds 5 prompts, more than max_prompts, 4; raise it"):
        build(max_prompts=4).opened(where="r.yaml")


class Letters:
    """An embedder of three numbers: how many a, b and c a text has."""

    name = "letters"
    dim = 3

    def __init__(self, key: str = "letters v1") -> None:
        self.key = key

    def embed(self, texts: Sequence[str]) -> Any:
        return unit_rows([[text.count(letter) for letter in "abc"] for text in texts])


def by_letters(**usage: Any) -> Library:
    past = [read("aaa"), read("bbb"), read("zzz")]
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    return build_library(past, scores, (None, None), MODELS, embedder=Letters(), usage=Usage(**usage))


def test_an_embedder_reads_what_words_cannot(tmp_path: Path) -> None:
    library = by_letters(k=1, shrinkage=0)
    assert library.rank(read("a b a")) == (("small", "large"), pytest.approx(2 / 5**0.5, abs=1e-5))
    assert library.rank(read("bb")) == (("large", "small"), 1.0)
    assert library.predict(read("zzz")).similarity == 0
    digest = library.save(tmp_path / "past.json", half=True)
    settings = said(digest, "past.json", embedder="letters", k=1, shrinkage=0)
    loaded = load_library(settings, tmp_path, MODELS, where="r.yaml:3:1")
    with pytest.raises(RulesError, match="needs its embedder 'letters': `opened` finds it"):
        loaded.rank(read("bb"))
    opened = loaded.opened({"letters": Letters()})
    assert opened.rank(read("bb")) == (("large", "small"), 1.0)
    opened.learn(read("ccc"), {"small": 0.75})
    assert opened.predict(read("cc")).scores[0] == pytest.approx(0.75)
    with pytest.raises(RulesError, match=r"no embedder 'letters'.*hand yours over by that name"):
        loaded.opened(where="r.yaml")
    with pytest.raises(RulesError, match=r"r.yaml: the library's vectors are by 'letters v1'.*makes 'letters v2'"):
        loaded.opened({"letters": Letters("letters v2")}, where="r.yaml")
    with pytest.raises(RulesError, match=r"r.yaml:3:1: the library was made with `embedder: letters`; write this"):
        load_library(said(digest, "past.json"), tmp_path, MODELS, where="r.yaml:3:1")


def test_routes_learn_from_answers(tmp_path: Path) -> None:
    digest = build().save(tmp_path / "past.json")
    text = f"""
schema: routebench/rules/v1
name: r
models: {{small: {{provider: openai, model: s}}, large: {{provider: openai, model: l}}}}
similarity: {{library: {{artifact: past.json, sha256: "{digest}"}}, k: 1, shrinkage: 0, max_prompts: 50}}
default: {{route: [small]}}
"""
    ruleset = RuleSet.parse(text, folder=tmp_path)
    assert "max_prompts: 50" in ruleset.to_yaml()
    router, other = Router(ruleset), Router(ruleset)
    request = Request(({"role": "user", "content": "write a haiku about rain"},))
    before = router.decide(request).chain
    assert router.library is not None
    router.learn(request, {"small": 1.0, "large": 0.0})
    assert (before, router.decide(request).chain) == (("large", "small"), ("small", "large"))
    assert other.decide(request).chain == before
    plain = Router(RuleSet("r", ruleset.models, Default(route=("small",))))
    assert plain.library is None
    with pytest.raises(RulesError, match="'r' learns nothing: it has no `similarity`"):
        plain.learn(request, {"small": 1.0})


def test_threads_learn_and_look_up_at_once() -> None:
    # So many columns that no two of the words share one.
    spec = FeatureSpec(2**20, surface=False)
    past = build_library([read(text) for text in TEXTS], np.array(SCORES), (None, None), MODELS, spec)
    library = past.opened(usage=Usage(k=1, shrinkage=0, max_prompts=60))
    wrong: list[Any] = []

    def learn(who: int) -> None:
        for number in range(60):
            library.learn(read(f"w{who}x{number} thread"), {"small": who / 4})

    def look_up() -> None:
        for _ in range(150):
            found = library.predict(read("thread"))
            if not (0 <= found.scores[0] <= 1 and found.n == 1):
                wrong.append(found)

    threads = [threading.Thread(target=learn, args=(who,)) for who in range(4)]
    threads += [threading.Thread(target=look_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert library.n == 60
    every = [(who, library.predict(read(f"w{who}x{number} thread"))) for who in range(4) for number in range(60)]
    there = [(who, found.scores[0]) for who, found in every if found.similarity == 1]
    assert len(there) == 60
    assert all(score == who / 4 for who, score in there)
