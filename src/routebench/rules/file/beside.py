"""A rule set with the files that it refers to: learned heads, libraries and classifiers beside its rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from routebench.rules.learned.classifier import Logistic
from routebench.rules.ruleset import RuleSet

_SUFFIX = ".safetensors"


def write_beside(ruleset: RuleSet, folder: Path, stem: str) -> RuleSet:
    """Writes what a rule set holds of learned numbers into a folder, and returns it with the files' names and digests.

    Args:
        ruleset: as a strategy made it.
        folder: that the rules.yaml will be in.
        stem: that the files' names begin with.

    Raises:
        RulesError: a file cannot be written.
    """

    def saved(part: str, save: Any) -> dict[str, Any]:
        path = folder / f"{stem}.{part}{_SUFFIX}"
        return {"artifact": path.name, "sha256": save(path)}

    if ruleset.learned is not None:
        head = saved("learned", ruleset.learned.head.save)
        ruleset = replace(
            ruleset, learned=replace(ruleset.learned, settings={**ruleset.learned.settings, "head": head})
        )
    if ruleset.similarity is not None:
        library = saved("library", lambda path: ruleset.similarity.library.save(path, half=True))
        settings = {**ruleset.similarity.settings, "library": library}
        ruleset = replace(ruleset, similarity=replace(ruleset.similarity, settings=settings))
    if ruleset.complexity is not None and isinstance(ruleset.complexity.classifier, Logistic):
        settings = {**ruleset.complexity.settings, **saved("classifier", ruleset.complexity.classifier.head.save)}
        ruleset = replace(ruleset, complexity=replace(ruleset.complexity, settings=settings))
    checks = dict(ruleset.checks)
    for name, answer_head in ruleset.heads.items():
        checks[name] = {**checks[name], "head": saved(f"{name}-check", answer_head.save)}
    return replace(ruleset, checks=checks)


def artifacts_of(settings: Any) -> tuple[str, ...]:
    """Returns the names of the files that a rule set's settings refer to, at any depth."""
    if isinstance(settings, Mapping):
        own = (settings["artifact"],) if isinstance(settings.get("artifact"), str) else ()
        return (*own, *(name for value in settings.values() for name in artifacts_of(value)))
    return ()
