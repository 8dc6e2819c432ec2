"""What a product's own process needs to ask a rule set: the rules, and the package of this environment."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from routebench.errors import InputError
from routebench.rules import RuleSet
from routebench.rules.file.beside import artifacts_of

LENT = "lent"
_PACKAGES = ("routebench", "re2", "_re2", "safetensors")


def lend(ruleset: RuleSet, folder: Path) -> None:
    """Puts a rules.yaml with its artifacts into a folder, and below `lent` what imports it.

    Args:
        ruleset: that was read from a file.
        folder: of a trial.

    Raises:
        InputError: it was not read from a file.
    """
    if ruleset.source is None:
        raise InputError(f"{ruleset.name!r} was not read from a file; write its rules.yaml first, and load that")
    rules = Path(ruleset.source)
    shutil.copy(rules, folder / "rules.yaml")
    settings = [ruleset.checks]
    settings += [
        part.settings for part in (ruleset.learned, ruleset.similarity, ruleset.complexity) if part is not None
    ]
    for name in {name for one in settings for name in artifacts_of(one)}:
        shutil.copy(rules.parent / name, folder / name)
    lent = folder / LENT
    lent.mkdir()
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            continue
        origin = Path(found.origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        (lent / place.name).symlink_to(place)
