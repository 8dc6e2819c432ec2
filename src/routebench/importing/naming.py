"""A suite's name in a store, its keys, and the rows that say which cases and models it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from routebench.errors import OutcomesError
from routebench.store import Store, read_cases, read_content_hashes, read_models, register, registered_mark
from routebench.types import Case, Model

RUN = "import"
_PROVIDER = "imported"


def check_name(store: Store, suite: str, cases: Sequence[tuple[Case, str]]) -> None:
    """Checks that a name stands for one suite: other prompts under it would get the answers of the old ones.

    Raises:
        OutcomesError: it comes from a run, or one of its ids stands for another prompt.
    """
    known = read_content_hashes(store, suite)
    if not known:
        return
    if any(model.provider != _PROVIDER for model in read_models(store, suite)):
        raise OutcomesError(f"suite {suite!r} of this store comes from a run; choose another name with --name")
    changed = {case.id: case for case, digest in cases if known.get(case.id, digest) != digest}
    for old in read_cases(store, suite) if changed else ():
        new = changed.get(old.id)
        if new is not None and new.request.messages != old.request.messages:
            raise OutcomesError(
                f"suite {suite!r}: prompt_id {old.id!r} stands for another prompt in this store; choose another name "
                "with --name"
            )


def request_key(suite: str, case_id: str, model: str, sample: int) -> str:
    """Returns the key of an imported answer, which has no request of ours."""
    return hashlib.sha256(f"{suite}\x00{case_id}\x00{model}\x00{sample}".encode()).hexdigest()


def register_all(
    store: Store,
    suite: str,
    cases: Iterable[tuple[Case, str]],
    models: Sequence[str],
    at: datetime,
    mark: str,
) -> None:
    """Writes cases and models, unless the very same are there already."""
    if registered_mark(store, suite) == mark:
        return
    register(
        store,
        suite=suite,
        run_id=RUN,
        cases=cases,
        # A file's rows may come in any order: that of its models says nothing.
        models=[(_model(name), f"{_PROVIDER}:{suite}:{name}") for name in sorted(models)],
        cells=(),
        at=at,
        mark=mark,
    )


def _model(name: str) -> Model:
    return Model(name, provider=_PROVIDER, model=name)
