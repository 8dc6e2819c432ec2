"""From a bench to the grading panel: what judges have said is read, and the batch is drawn or found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.dash.grading.panel import GraderPanel
from routebench.dash.grading.state import Sitting
from routebench.errors import ConfigError, nearest
from routebench.grade.blind import Against, Kind
from routebench.store import Store

if TYPE_CHECKING:
    from routebench.bench import Bench

_LOCK_TIMEOUT_S = 2.0
"""A key that waits longer for another process would seem dead; nothing is lost, it can be pressed again."""


def grader(
    bench: Bench | str | Path,
    grader: str = "me",
    *,
    kind: Kind = "pairwise",
    n: int = 60,
    seed: int = 0,
    models: Sequence[str] | None = None,
    scale: str = "1-5",
    against: Against | None = None,
) -> GraderPanel:
    """Returns the panel that grades a bench's answers blindly; the last expression of a cell displays it.

    The same call goes on where it was left. Somebody else with the same seed is shown the same.

    Args:
        bench: whose answers.
        grader: who grades.
        kind: `pairwise`, which of two answers is better, or `score`.
        n: how many are shown; a tenth of them are silent repeats.
        seed: of the draw.
        models: whose answers; all when left out.
        scale: of scores, `1-5` or `0-9`; its ends are 0 and 1.
        against: what an answer is paired with, another `model` or the case's `reference`; left out, the reference where
            a `pairwise` judge grades, else a model.
    """
    from routebench.bench import opened

    whole = opened(bench)

    def sit() -> Sitting:
        known = [model.name for model in whole.models]
        for name in models or ():
            if name not in known:
                raise ConfigError(f"there is no model {name!r}{nearest(name, known)}; the bench has {', '.join(known)}")
        store = whole.store
        if store.pack is None:
            store = Store(store.path, lock_timeout_s=_LOCK_TIMEOUT_S)
            # What judges have said is read first: it decides what they are in doubt about.
            whole.grade()
        return Sitting(
            store,
            whole.suite,
            [name for name in known if models is None or name in models],
            rater=grader,
            kind=kind,
            n=n,
            seed=seed,
            scale=scale,
            against=against,
        )

    given = {"kind": kind, "n": n, "seed": seed, "models": models, "scale": scale, "against": against}
    usual = {"kind": "pairwise", "n": 60, "seed": 0, "models": None, "scale": "1-5", "against": None}
    told = "".join(f", {name}={value!r}" for name, value in given.items() if value != usual[name])
    return GraderPanel(sit, told=f"rb.grader(bench, {grader!r}{told})")
