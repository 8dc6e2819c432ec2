"""RuleSet: what a rules.yaml says, read from a file and written to one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from routebench.errors import RulesError
from routebench.rules.contents import Contents
from routebench.rules.file.writing import to_yaml


@dataclass(frozen=True, slots=True)
class RuleSet(Contents):
    """A routing policy, with its file."""

    @property
    def policy_sha256(self) -> str:
        """Digest of everything that decides: equal for rule sets that decide every request alike by their text.

        The share of exploration is not in it: what is drawn at random on top leaves the policy what it is.
        """
        models = {name: replace(model, price=None) for name, model in self.models.items()}
        text = replace(self, models=models, explore=0.0, evidence={}, golden=()).to_yaml()
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a rules.yaml.

        Raises:
            RulesError: the file cannot be read or used; every problem is named with its line and the mend.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RulesError(f"{path}: no such file; `routebench tune` writes one") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise RulesError(f"{path}:{line}: a sign that is not UTF-8; save the file as UTF-8") from None
        except OSError as error:
            raise RulesError(f"{path}: cannot be read: {error.strerror or error}") from None
        return cls.parse(text, name=str(path), folder=Path(path).parent)

    @classmethod
    def parse(cls, text: str, *, name: str = "rules.yaml", folder: str | Path = ".") -> Self:
        """Reads the text of a rules.yaml.

        Args:
            text: of the file.
            name: what errors call it.
            folder: where the files are that it refers to.

        Raises:
            RulesError: it cannot be used.
        """
        from routebench.rules.file.loading import fields_of

        return cls(**fields_of(text, name, Path(folder)), source=name)

    def to_yaml(self) -> str:
        """Returns the text of a rules.yaml that reads back as this rule set."""
        return to_yaml(self)


def rules_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a rules.yaml, for editors."""
    from routebench.config import json_schema
    from routebench.rules.file.schema import RulesSettings

    return json_schema(RulesSettings, "rules.yaml")
