"""Every format by its name; a format's module is imported when the format is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from routebench.errors import OutcomesError, nearest

if TYPE_CHECKING:
    from routebench.suites.importers import Format

_WHERE: Mapping[str, str] = {
    "routerbench": "routerbench:FORMAT",
    "routellm-mmlu": "routellm:MMLU",
    "routellm-gsm8k": "routellm:GSM8K",
    "mtbench": "mtbench:FORMAT",
    "routerarena": "routerarena:FORMAT",
    "bfcl": "bfcl:FORMAT",
    "zeroeval": "zeroeval:FORMAT",
    "inspect": "inspect_log:FORMAT",
    "promptfoo": "promptfoo:FORMAT",
    "litellm-log": "litellm_log:FORMAT",
    "langfuse": "langfuse:FORMAT",
    "otel": "otel:FORMAT",
    "traces": "traces:FORMAT",
    "jsonl": "jsonl_log:FORMAT",
}
FORMATS: tuple[str, ...] = tuple(_WHERE)
LOGS = ("litellm-log", "langfuse", "otel", "traces", "jsonl")
"""Formats of production logs."""


def find_format(name: str, *, allow_pickle: bool = False) -> Format:
    """Returns the format of a name.

    Args:
        name: one of FORMATS.
        allow_pickle: whether a pickle, which can run any code when it is read, may be one of its files.

    Raises:
        OutcomesError: there is no such format.
    """
    if name not in _WHERE:
        raise OutcomesError(f"unknown format {name!r}{nearest(name, FORMATS)}; known: {', '.join(FORMATS)}")
    module, _, attribute = _WHERE[name].partition(":")
    found = import_module(f"routebench.suites.importers.{module}")
    form: Format = getattr(found, attribute)
    return replace(form, read=found.with_pickle) if allow_pickle and hasattr(found, "with_pickle") else form
