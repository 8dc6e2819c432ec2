"""Classifiers and similarity of a rules.yaml as their author writes them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from routebench.config import Settings
from routebench.errors import nearest
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

    kind: Literal["heuristic", "logistic"]
    """`heuristic`: weights of surface features, written here; `logistic`: learned weights, in an artifact."""
    artifact: Annotated[str, Field(min_length=1)] | None = None
    """Logistic: a `.safetensors` or `.json` file, relative to the rules file's folder and inside it."""
    sha256: _Sha256 | None = None
    """Logistic: of that file, as `sha256sum` prints it: another file of that name is refused."""
    weights: Annotated[dict[str, _Weight], Field(min_length=1)] | None = None
    """Heuristic: weights by name of a surface feature, such as log_words, has_code or digits."""
    bias: _Weight | None = None
    """Heuristic: what is added to the weighted sum before the logistic function; 0 when left out."""

    @field_validator("weights")
    @classmethod
    def _are_known(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        for name in weights or ():
            if name not in SURFACE:
                # The whole list where no name is near: there is no other place to look it up in an editor.
                said = nearest(name, SURFACE) or f"; there are {', '.join(SURFACE)}"
                raise ValueError(f"no surface feature {name!r}{said}")
        return weights

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        learned, written = (self.artifact, self.sha256), (self.weights, self.bias)
        if self.kind == "logistic":
            if None in learned:
                raise ValueError("a logistic classifier needs `artifact` and its `sha256`; `sha256sum` prints it")
            if written != (None, None):
                raise ValueError(
                    "the weights of a logistic classifier are in its artifact: leave `weights`, `bias` out"
                )
        else:
            if self.weights is None:
                raise ValueError("a heuristic classifier needs `weights`, such as {log_words: 0.8, has_code: 1.5}")
            if learned != (None, None):
                raise ValueError("a heuristic classifier has no artifact: leave it out, or write `kind: logistic`")
        return self


class SimilaritySettings(Settings):
    """Past prompts and what became of them: the models that did best on similar ones are tried first."""

    library: ArtifactSettings
    """The past prompts' features and scores; no text."""
    k: Annotated[int, Field(gt=0)] = 24
    """Neighbours that are looked at."""
    shrinkage: _NotNegative = 0.3
    """The weight of each model's mean score, in neighbours."""
    min_similarity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the nearest past prompt is less similar than this, complexity or the default decides."""
    cost_weight: _NotNegative = 0.0
    """Score that a US dollar a request is worth."""
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""
