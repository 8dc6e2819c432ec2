"""Target: a gateway that a rule set can be written for, and Exported: what was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from routebench.export.capability import Capability
from routebench.export.loss import Lost
from routebench.export.unchecked import Opening
from routebench.export.verify.verified import Verified
from routebench.rules import RuleSet
from routebench.types import Request


@dataclass(frozen=True)
class Exported:
    """A rule set in the form of a target.

    Attributes:
        target: the target's name.
        files: name -> text, the main one first; no header is in them yet (`writing.headed` adds it), and no secret.
        lost: what the target does otherwise.
        ruleset: what the target really does, as a rule set of ours, so that it can be replayed.
        needs: what the reader has to do besides loading the files, such as setting variables or running a classifier.
        holds: what the target has of a chain that `ruleset` decides, such as its first models alone, and nothing where
            it sends nothing; None where it has all of every chain.
    """

    target: str
    files: Mapping[str, str]
    lost: tuple[Lost, ...]
    ruleset: RuleSet
    needs: tuple[str, ...] = field(default=())
    holds: Callable[[tuple[str, ...]], tuple[str, ...]] | None = field(default=None, compare=False)


class Exporting(Protocol):
    """Writes a rule set in a target's form."""

    def __call__(
        self,
        ruleset: RuleSet,
        *,
        requests: Sequence[Request] = (),
        openings: Sequence[Opening] = (),
        names: Mapping[str, str] | None = None,
        allow_lost_guards: bool = False,
    ) -> Exported:
        """Returns the files and what is lost.

        Args:
            ruleset: the policy.
            requests: prompts that an approximation is fitted to; without them what needs one is dropped.
            openings: which model is asked first of cascades that were replayed without their checks.
            names: model name -> what the target calls it, where that cannot be told from the model.
            allow_lost_guards: guards that cannot be held are left out, and said so.

        Raises:
            RulesError: it cannot be written, or a guard would be lost.
        """
        ...


class Verifying(Protocol):
    """Runs the real product on what was written."""

    def __call__(
        self, exported: Exported, original: RuleSet, requests: Sequence[Request], *, product: Path | None = None
    ) -> Verified:
        """Returns where the product sent every request, beside where the rule set sends it.

        Args:
            exported: the files.
            original: the rule set as it was measured.
            requests: that are sent.
            product: the program; found where `make interop` puts it, or on the path, when left out.

        Raises:
            MissingDependencyError: it is not installed; the text holds the line that installs it.
            ProviderError: it does not start, or refuses the files.
        """
        ...


@dataclass(frozen=True)
class Target:
    """A gateway that a rule set can be written for.

    Attributes:
        name: as on the command line.
        title: for people, with the versions that it was tried with.
        capabilities: a row for every feature.
        export: writes.
        check: names what the target's own schema does not know, one sentence each; empty where all is well.
        verify: runs the product.
        main: name of the main file.
        asking: writes a form in which the product asks the rule set itself; None where there is no other form.
    """

    name: str
    title: str
    capabilities: tuple[Capability, ...]
    export: Exporting
    check: Callable[[Mapping[str, str]], tuple[str, ...]]
    verify: Verifying
    main: str
    asking: Exporting | None = None
