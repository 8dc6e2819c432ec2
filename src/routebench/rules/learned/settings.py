"""Classifiers, similarity and learned heads of a rules.yaml as their author writes them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from routebench.config import Settings
from routebench.errors import nearest
from routebench.rules.learned.llm_classifier import PLACE
from routebench.rules.learned.surface import SURFACE

_Weight = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class ArtifactSettings(Settings):
    """A file of learned numbers beside the rules file."""

    artifact: Annotated[str, Field(min_length=1)]
    """A `.safetensors` or `.json` file, relative to the rules file's folder and inside it."""
    sha256: _Sha256
    """Of the file, as `sha256sum` prints it: another file of that name is refused."""


class ClassifierSettings(Settings):
    """What scores a request between 0 and 1."""

    kind: Literal["heuristic", "logistic", "llm"]
    """`heuristic`: weights of surface features, written here; `logistic`: learned weights, in an artifact; `llm`: a
    model of this file says a number, which the application asks it for."""
    artifact: Annotated[str, Field(min_length=1)] | None = None
    """Logistic: a `.safetensors` or `.json` file, relative to the rules file's folder and inside it."""
    sha256: _Sha256 | None = None
    """Logistic: of that file, as `sha256sum` prints it: another file of that name is refused."""
    weights: Annotated[dict[str, _Weight], Field(min_length=1)] | None = None
    """Heuristic: weights by name of a surface feature, such as log_words, has_code or digits."""
    bias: _Weight | None = None
    """Heuristic: what is added to the weighted sum before the logistic function; 0 when left out."""
    model: str | None = None
    """Llm: the model that is asked."""
    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Llm: what it is asked, with `{prompt}` for the last user message; a fixed text when left out."""
    scale: Annotated[list[_Weight], Field(min_length=2, max_length=2)] | None = None
    """Llm: the numbers that it answers for the least and the most demanding request; [1, 5] when left out."""

    @field_validator("weights")
    @classmethod
    def _are_known(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        for name in weights or ():
            if name not in SURFACE:
                # The whole list where no name is near: there is no other place to look it up in an editor.
                said = nearest(name, SURFACE) or f"; there are {', '.join(SURFACE)}"
                raise ValueError(f"no surface feature {name!r}{said}")
        return weights

    @field_validator("prompt")
    @classmethod
    def _has_a_place(cls, prompt: str | None) -> str | None:
        if prompt is not None and PLACE not in prompt:
            raise ValueError(f"the prompt has no `{PLACE}`, where the request's text belongs")
        return prompt

    @field_validator("scale")
    @classmethod
    def _grows(cls, scale: list[float] | None) -> list[float] | None:
        if scale is not None and scale[0] >= scale[1]:
            raise ValueError("a scale is [low, high], such as [1, 5], low for requests that need little")
        return scale

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needs = {"logistic": ("artifact", "sha256"), "heuristic": ("weights",), "llm": ("model",)}[self.kind]
        if any(getattr(self, key) is None for key in needs):
            raise ValueError(_NEEDS[self.kind])
        for kind, keys in _KEYS_OF.items():
            found = [key for key in keys if getattr(self, key) is not None]
            if kind != self.kind and found:
                raise ValueError(
                    f"{_NAMES[self.kind]} classifier has no {found[0]}: leave it out, or write `kind: {kind}`"
                )
        return self


_KEYS_OF = {
    "logistic": ("artifact", "sha256"),
    "heuristic": ("weights", "bias"),
    "llm": ("model", "prompt", "scale"),
}
_NAMES = {"logistic": "a logistic", "heuristic": "a heuristic", "llm": "an llm"}
_NEEDS = {
    "logistic": "a logistic classifier needs `artifact` and its `sha256`; `sha256sum` prints it",
    "heuristic": "a heuristic classifier needs `weights`, such as {log_words: 0.8, has_code: 1.5}",
    "llm": "an llm classifier needs `model`, one of `models`",
}


class LearnedSettings(Settings):
    """Predicted worth of every model for a request: the models are tried by it."""

    head: ArtifactSettings
    """Weights of the request's features, a row a model; no text."""
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""


class SimilaritySettings(Settings):
    """Past prompts and what became of them: the models that did best on similar ones are tried first."""

    library: ArtifactSettings
    """The past prompts' features and scores; no text."""
    embedder: Annotated[str, Field(min_length=1)] = "hashed"
    """What reads a prompt: `hashed` words, `minilm` (needs the extra of that name), or one that the router is given."""
    k: Annotated[int, Field(gt=0)] = 24
    """Neighbours that are looked at."""
    shrinkage: _NotNegative = 0.3
    """The weight of each model's mean score, in neighbours."""
    min_similarity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the nearest past prompt is less similar than this, complexity or the default decides."""
    cost_weight: _NotNegative = 0.0
    """Score that a US dollar a request is worth."""
    max_prompts: Annotated[int, Field(gt=0)] | None = None
    """Past prompts that are kept at most when the router learns; then the oldest leave. 100,000 when left out."""
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""
