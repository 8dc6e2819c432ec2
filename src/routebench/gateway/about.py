"""What a client knows of its request besides: values and words for conditions, and the model that answered before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routebench.gateway.refusal import wrong

_NAMES = ("tags", "metadata", "previous")
_MOST_METADATA = 16
_MOST_TAGS = 64
_MOST_NAME = 256


@dataclass(frozen=True, slots=True)
class About:
    """What was told.

    Attributes:
        metadata: for conditions `metadata.NAME`; not sent on to any provider.
        tags: for conditions `tag`.
        previous: the model that answered the conversation so far.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    previous: str | None = None


_UNTOLD = About()


def read_about(metadata: Any, own: Any) -> About:
    """Reads two members of a request.

    Args:
        metadata: the API's own: names and texts.
        own: the body's `routebench`: tags, metadata that may be numbers and flags too, and the model before.

    Raises:
        Refusal: one of them has another shape, or is too much.
    """
    if metadata is None and own is None:
        return _UNTOLD
    values = {} if metadata is None else _values("metadata", metadata, texts=True)
    if own is None:
        return About(values)
    if not isinstance(own, dict):
        wrong("routebench", "an object such as {tags: […], metadata: {…}, previous: NAME}", own)
    for name in own:
        if name not in _NAMES:
            wrong(f"routebench.{name[:40]}", f"unknown; {', '.join(_NAMES)} are known", code="unknown_parameter")
    if own.get("metadata") is not None:
        values |= _values("routebench.metadata", own["metadata"], texts=False)
    previous = own.get("previous")
    if previous is not None and (not isinstance(previous, str) or len(previous) > _MOST_NAME):
        wrong("routebench.previous", "the name of the model that answered before", previous)
    return About(values, _tags(own.get("tags")), previous)


def _tags(told: Any) -> tuple[str, ...]:
    if told is None:
        return ()
    if not isinstance(told, list) or len(told) > _MOST_TAGS:
        wrong("routebench.tags", f"a list of at most {_MOST_TAGS} words", told)
    for number, tag in enumerate(told):
        if not isinstance(tag, str) or not 0 < len(tag) <= _MOST_NAME:
            wrong(f"routebench.tags[{number}]", f"a word of at most {_MOST_NAME} characters", tag)
    return tuple(told)


def _values(place: str, told: Any, *, texts: bool) -> dict[str, Any]:
    if not isinstance(told, dict):
        wrong(place, "an object of names and values", told)
    if len(told) > _MOST_METADATA:
        wrong(place, f"at most {_MOST_METADATA} names, got {len(told)}")
    for name, value in told.items():
        here = f"{place}.{name[:40]}"
        if len(name) > 64:
            wrong(here, "names have at most 64 characters")
        if texts and not isinstance(value, str):
            wrong(here, "a text; numbers and flags go into `routebench: {metadata: {…}}`", value)
        if value is not None and not isinstance(value, (str, int, float, bool)):
            wrong(here, "a text, a number, true or false", value)
        if isinstance(value, str) and len(value) > 512:
            wrong(here, "at most 512 characters")
    return {name: value for name, value in told.items() if value is not None}
