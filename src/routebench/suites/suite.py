"""A suite: a named, versioned list of cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from routebench.errors import SuiteError
from routebench.types import Case


def canonical_json(value: Any) -> str:
    """Returns one spelling for equal JSON values: sorted keys, no spaces, no ASCII escapes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"cannot be written as JSON: {value!r}")


def content_hash(case: Case) -> str:
    """Returns 16 hex digits of a sha256 over what a case asks and how it is graded."""
    request = case.request
    body = {
        "messages": [dict(message) for message in request.messages],
        "tools": [dict(tool) for tool in request.tools],
        "response_format": request.response_format,
        "params": request.params,
        "target": case.target,
        "grader": [case.grader.name, case.grader.options],
    }
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases under a name; two suites with equal `version` ask and grade the same.

    Attributes:
        fingerprint: names everything that was read, without reading it again; None where it did not come from a file.

    Raises:
        SuiteError: the suite is empty, or two cases share an id.
    """

    name: str
    cases: tuple[Case, ...]
    source: str | None = None
    fingerprint: str | None = None
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        where = self.source or f"suite {self.name!r}"
        if not self.cases:
            raise SuiteError(
                f'{where}: the suite has no cases; write one JSON object a line, such as {{"prompt": "…"}}'
            )
        places: dict[str, int] = {}
        for place, case in enumerate(self.cases):
            if places.setdefault(case.id, place) != place:
                raise SuiteError(f"{where}: case id {case.id!r} is used twice; give every case its own id")
        object.__setattr__(self, "_places", places)

    @property
    def version(self) -> str:
        """12 hex digits that change when any case does."""
        lines = sorted(f"{case.id}\t{content_hash(case)}" for case in self.cases)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        try:
            return self.cases[self._places[case_id]]
        except KeyError:
            raise SuiteError(f"suite {self.name!r} has no case {case_id!r}") from None

    def __repr__(self) -> str:
        categories = len({case.category for case in self.cases if case.category is not None})
        return f"Suite({self.name!r}, {len(self)} cases, {categories} categories, version {self.version})"
