"""Classes of cases that a team cares about more than others: what a wrong answer costs, and who may answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from routebench.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Protection:
    """Requests of a class go to these models only, whatever a tuned rule set would do.

    Attributes:
        name: of the guard that keeps to it.
        category: the label of its cases, which no router sees; None where a tag says it.
        tag: that callers send along; None where a category says it.
        at_least: the weakest model that may answer; None where `only` says it.
        only: the models that may answer; None where `at_least` says it.
        min_recall: share of the class that the guard has to recognise, in (0, 1]; of a tag it recognises all.
        where: its place in a file, for messages.
    """

    name: str
    category: str | None = None
    tag: str | None = None
    at_least: str | None = None
    only: tuple[str, ...] | None = None
    min_recall: float = 0.95
    where: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """What slices call the class, such as `category=legal`."""
        return f"category={self.category}" if self.tag is None else f"tag={self.tag}"

    def guard(self, when: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the guard for requests that meet a condition, in the form of a rules.yaml."""
        allowed = {"at_least": self.at_least} if self.only is None else {"only": list(self.only)}
        return {"name": self.name, "when": dict(when), **allowed}


def check_classes(
    protect: Sequence[Protection],
    stakes: Mapping[str, str],
    *,
    categories: Collection[str],
    tags: Collection[str],
) -> None:
    """Checks that the suite has a case of every class that is spoken of.

    Args:
        protect: the protected classes.
        stakes: category or tag with stakes -> its place in the file.
        categories: of the suite's cases.
        tags: likewise.

    Raises:
        ConfigError: it has none, which says where and what there is.
    """
    problems = []
    for label, where in stakes.items():
        if label not in categories and label not in tags:
            known = sorted({*categories, *tags})
            problems.append(
                f"{where}: no case has the category or tag {label!r}{nearest(label, known)}; {_there(known)}"
            )
    for one in protect:
        kind, known = ("category", sorted(categories)) if one.tag is None else ("tag", sorted(tags))
        label = str(one.category if one.tag is None else one.tag)
        if label not in known:
            problems.append(f"{one.where}: no case has the {kind} {label!r}{nearest(label, known)}; {_there(known)}")
    if problems:
        raise ConfigError("\n".join(problems))


def _there(known: Sequence[str]) -> str:
    return f"there are {', '.join(known)}" if known else "the suite has none at all"
