"""Where a suite to look through comes from, and where its answers are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.dash.browsing.cells import Cells
from routebench.errors import RoutebenchError
from routebench.store import Store, open_store, read_cases, read_models
from routebench.suites import Suite, load_suite

if TYPE_CHECKING:
    from routebench.bench import Bench


@dataclass(frozen=True, slots=True)
class Source:
    """A suite with what is known of its answers.

    Attributes:
        cells: None where nothing is known.
        store: None where there is none.
        code: the arguments that open the same, in Python.
        refused: why the answers could not be read, None where they could.
    """

    suite: Suite
    cells: Cells | None
    store: Store | None
    code: str
    refused: RoutebenchError | None = None


def open_source(what: Suite | Bench | str | Path, store: Store | str | Path | None = None) -> Source:
    """Opens what `browse` was given.

    Raises:
        SuiteError: the suite cannot be read.
        StoreError: there is no such store, or it holds no such suite.
    """
    from routebench.bench import Bench

    if isinstance(what, Bench):
        names = tuple(model.name for model in what.models)
        code = f"rb.Bench({str(what.config.path)!r})"
        return _with_cells(what.suite, what.store, code, names, what.config.samples)
    opened = open_store(store) if isinstance(store, (str, Path)) else store
    beside = "" if opened is None else f", store={str(opened.path)!r}"
    if isinstance(what, Suite):
        return _with_cells(what, opened, f"suite{beside}")
    code = f"{str(what)!r}{beside}"
    if opened is None or Path(what).is_file():
        return _with_cells(load_suite(what), opened, code)
    suite = Suite(str(what), tuple(read_cases(opened, str(what))), source=str(opened.path))
    return _with_cells(suite, opened, code, is_of_store=True)


def _with_cells(
    suite: Suite,
    store: Store | None,
    code: str,
    names: tuple[str, ...] | None = None,
    n_samples: int = 1,
    *,
    is_of_store: bool = False,
) -> Source:
    if store is None:
        return Source(suite, None, None, code)
    try:
        models = names or tuple(model.name for model in read_models(store, suite.name))
        cells = Cells.read(store, suite, models, n_samples, is_of_store=is_of_store) if models else None
    except RoutebenchError as error:
        # A suite can be looked through without its answers.
        return Source(suite, None, store, code, error)
    return Source(suite, cells, store, code)
