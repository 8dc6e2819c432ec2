"""The cases of an outcome matrix: the columns that evaluation reads, and the texts only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.types import Case, Request

StrArray = npt.NDArray[np.str_]


class Source:
    """The whole cases of a suite, read at the first look at one, and what was worked out from their requests.

    Halves and folds of one suite share their source, so that nothing is read or worked out twice.

    Args:
        read: returns every case of the suite.
    """

    def __init__(self, read: Callable[[], Sequence[Case]]) -> None:
        self._read = read
        self.derived: dict[str, Any] = {}

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every case of the suite."""
        return tuple(self._read())

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Case id -> its position."""
        return {case.id: place for place, case in enumerate(self.cases)}

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """What strategies may see of every case; without messages where its text is not known."""
        return tuple(case.request for case in self.cases)

    def check_texts(self, at: IntArray) -> None:
        """Checks that the texts of some cases are known; that those of others were purged does not matter.

        Raises:
            OutcomesError: the text of one is not known.
        """
        for place in self._untold[np.isin(self._untold, at)][:1]:
            raise OutcomesError(
                f"the prompt of case {self.cases[place].id!r} is not here: a pack, a store with `text: none` and "
                "purged cases hold none; give the suite's file with --prompts, or compare strategies that read none"
            )

    @cached_property
    def _untold(self) -> IntArray:
        return np.array([place for place, one in enumerate(self.requests) if not one.messages], dtype=np.int64)


class Requests(Sequence[Request]):
    """Some of a suite's requests, with features that are worked out once for the whole suite.

    Args:
        source: of the suite.
        at: positions in it, shape (n,).
    """

    def __init__(self, source: Source, at: IntArray) -> None:
        self._source = source
        self._at = at

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Request]:
        whole = self._whole
        return (whole[place] for place in self._at)

    def __getitem__(self, place: int) -> Request:  # type: ignore[override]  # nobody slices requests
        return self._whole[int(self._at[place])]

    @cached_property
    def _whole(self) -> Sequence[Request]:
        self._source.check_texts(self._at)
        return self._source.requests

    def rows(self, name: str, work_out: Callable[[Sequence[Request]], Any]) -> Any:
        """Returns the rows of an array (or anything that takes an index array) that has a row a request.

        Args:
            name: under which it is kept.
            work_out: makes it, each row from its own request alone: held-out requests are among them.
        """
        whole = self._whole
        if name not in self._source.derived:
            self._source.derived[name] = work_out(whole)
        return self._source.derived[name][self._at]


def rows_of(requests: Sequence[Request], name: str, work_out: Callable[[Sequence[Request]], Any]) -> Any:
    """Returns what `work_out` makes of requests, worked out once where they belong to a suite."""
    return requests.rows(name, work_out) if isinstance(requests, Requests) else work_out(requests)


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
        has_text: whether its prompt is known: not where its text was purged, or never kept, shape (n,).
        source: has the whole cases.
    """

    ids: StrArray
    category: StrArray
    group: StrArray
    weight: FloatArray
    stakes_usd: FloatArray
    split: StrArray
    tags: npt.NDArray[np.object_]
    grader: StrArray
    has_text: BoolArray
    source: Source = field(repr=False)

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Self:
        """Takes cases that are already in memory."""
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
            has_text=np.array([bool(case.request.messages) for case in cases], dtype=bool),
            source=Source(lambda: cases),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Case]:
        return (self.source.cases[place] for place in self._at)

    def __getitem__(self, place: int) -> Case:  # type: ignore[override]  # a slice is `take`
        return self.source.cases[int(self._at[place])]

    @cached_property
    def _at(self) -> IntArray:
        try:
            return np.array([self.source.place[name] for name in self.ids], dtype=np.intp)
        except KeyError as error:
            raise OutcomesError(f"case {error.args[0]!r} left the store while it was read; read it again") from None

    @cached_property
    def requests(self) -> Requests:
        """What a strategy may see of the cases."""
        return Requests(self.source, self._at)

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
            has_text=self.has_text[index],
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
