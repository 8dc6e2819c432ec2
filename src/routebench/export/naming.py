"""What a target calls the models of a rule set, as somebody types it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from routebench.errors import InputError, nearest


def read_names(told: Iterable[str], models: Collection[str]) -> Mapping[str, str]:
    """Returns model name -> what the target calls it.

    Args:
        told: texts such as `small=openai/gpt-4o-mini`.
        models: that there are.

    Raises:
        InputError: one is no pair, or names no model.
    """
    found = {}
    for one in told:
        name, _, called = one.strip().partition("=")
        if not (name and called):
            raise InputError(
                f"{one!r} is no pair; write NAME=ID, the model's name in the rules and the target's for it"
            )
        if name not in models:
            raise InputError(f"no model {name!r}{nearest(name, models)}; models here: {', '.join(models)}")
        found[name] = called
    return found
