"""The cases of an outcome matrix: the columns that evaluation reads, and the texts only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.types import Case

StrArray = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Cases(Sequence[Case]):
    """n cases in order; labels and weights are columns, prompts are read at the first look at one.

    Attributes:
        ids: shape (n,).
        category: an empty string where there is none, shape (n,).
        group: an empty string where there is none, shape (n,).
        weight: requests that each case stands for, shape (n,).
        stakes_usd: what a wrong answer costs, NaN while unknown, shape (n,).
        split: `train`, `test`, or an empty string where the suite leaves it open, shape (n,).
        tags: a sequence of texts each, shape (n,).
        grader: name of each case's primary grader, shape (n,).
        load: reads the whole cases, by id.
    """

    ids: StrArray
    category: StrArray
    group: StrArray
    weight: FloatArray
    stakes_usd: FloatArray
    split: StrArray
    tags: npt.NDArray[np.object_]
    grader: StrArray
    load: Callable[[], Mapping[str, Case]] = field(repr=False)

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Self:
        """Takes cases that are already in memory."""
        by_id = {case.id: case for case in cases}
        return cls(
            ids=np.array([case.id for case in cases], dtype=str),
            category=np.array([case.category or "" for case in cases], dtype=str),
            group=np.array([case.group or "" for case in cases], dtype=str),
            weight=np.array([case.weight for case in cases], dtype=float),
            stakes_usd=np.array(
                [np.nan if case.stakes_usd is None else case.stakes_usd for case in cases], dtype=float
            ),
            split=np.array([case.split or "" for case in cases], dtype=str),
            tags=_objects([case.tags for case in cases]),
            grader=np.array([case.grader.name for case in cases], dtype=str),
            load=lambda: by_id,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Case]:
        return iter(self._whole)

    def __getitem__(self, place: int) -> Case:  # type: ignore[override]  # a slice is `take`
        return self._whole[place]

    @cached_property
    def _whole(self) -> tuple[Case, ...]:
        by_id = self.load()
        try:
            return tuple(by_id[name] for name in self.ids)
        except KeyError as error:
            raise OutcomesError(f"case {error.args[0]!r} left the store while it was read; read it again") from None

    @cached_property
    def keys(self) -> StrArray:
        """What may not be split between train and test: a case's group, else its id; shape (n,)."""
        return np.where(self.group == "", self.ids, self.group)

    @cached_property
    def cluster(self) -> IntArray:
        """Number of each case's key in the sorted order of keys, shape (n,)."""
        return np.unique(self.keys, return_inverse=True)[1]

    def take(self, index: IntArray) -> Cases:
        """Returns some cases, by position."""
        return replace(
            self,
            ids=self.ids[index],
            category=self.category[index],
            group=self.group[index],
            weight=self.weight[index],
            stakes_usd=self.stakes_usd[index],
            split=self.split[index],
            tags=self.tags[index],
            grader=self.grader[index],
        )

    def slices(self) -> dict[str, BoolArray]:
        """Returns the parts that a team looks at: `category=law`, `tag=urgent` -> which cases are in, shape (n,)."""
        found = {f"category={name}": self.category == name for name in np.unique(self.category) if name}
        for tag in sorted({tag for tags in self.tags for tag in tags}):
            found[f"tag={tag}"] = np.fromiter((tag in tags for tags in self.tags), dtype=bool, count=len(self))
        return found


def _objects(values: Sequence[object]) -> npt.NDArray[np.object_]:
    """An array of whole objects, also where they are sequences of one length."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
