"""The targets by name."""

from __future__ import annotations

from collections.abc import Mapping

from routebench.errors import InputError, nearest
from routebench.export.litellm.exporter import LITELLM
from routebench.export.openrouter import OPENROUTER
from routebench.export.portkey import PORTKEY
from routebench.export.target import Target
from routebench.export.vllm_sr.exporter import VLLM_SR

TARGETS: Mapping[str, Target] = {target.name: target for target in (LITELLM, PORTKEY, VLLM_SR, OPENROUTER)}


def find_target(name: str) -> Target:
    """Returns a target by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in TARGETS:
        raise InputError(f"no target {name!r}{nearest(name, TARGETS)}; there are {', '.join(TARGETS)}")
    return TARGETS[name]
