"""Properties that are worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_Value = TypeVar("_Value")


class once(Generic[_Value]):  # noqa: N801 - it is used as a decorator, as `property` is
    """A property that keeps its first value.

    As `functools.cached_property`, without the lock that the latter holds before Python 3.12 for all instances at once:
    sixteen threads that decide would wait for each other. Two threads that ask at the same time may both work the value
    out; it is the same one.

    Args:
        work_out: the property's function.
    """

    def __init__(self, work_out: Callable[[Any], _Value]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> once[_Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...

    def __get__(self, instance: object | None, owner: type) -> once[_Value] | _Value:
        """Works the value out; the next time it is found in the instance itself."""
        if instance is None:
            return self
        value = self._work_out(instance)
        instance.__dict__[self._name] = value
        return value
