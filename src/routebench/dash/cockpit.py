"""Every panel of a bench on one page, each built when it is first looked at."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from routebench.bench import Bench
from routebench.dash.comparing import compare


def cockpit(bench: Bench, *, rules: str | None = None, today: str | None = None, read_only: bool = False, cap_usd: float | None = None) -> Any:
    return compare(bench.compare(["rules"], seeds=(42,)))
