"""Whether one model can take one request, told in the words of who sent it; what says nothing is left out for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from routebench.errors import ConfigError
from routebench.gateway.parts import is_home
from routebench.providers import ProviderKind
from routebench.providers.params import UnsupportedError
from routebench.types import Model, Request

_HINTS = frozenset({"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
"""Parameters that say who asks and what may be kept for later, not what is asked: a model without them is none the
worse."""
_NEUTRAL: Mapping[str, Any] = MappingProxyType(
    {
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "logit_bias": {},
        "logprobs": False,
        "n": 1,
        "parallel_tool_calls": True,
        "store": False,
        "modalities": ["text"],
    }
)
"""Values that ask for what every model does anyway."""


class UnfitError(ConfigError):
    """A model cannot take a request.

    Attributes:
        param: the part of the request that it lacks, None where it is not one parameter.
    """

    def __init__(self, sentence: str, param: str | None = None) -> None:
        super().__init__(sentence)
        self.param = param


class Fitness:
    """Checks requests for one model at one place.

    Args:
        model: with the address of the place.
        kind: what its provider can do.
    """

    def __init__(self, model: Model, kind: ProviderKind) -> None:
        self._model = model
        self._check = kind.check
        self._lacks: set[str] = set()
        address = model.base_url or kind.base_url
        self._is_home = bool(address) and is_home(urlsplit(address or "").hostname or "")

    def fitted(self, rendered: Request) -> Request:
        """Returns a rendered request as the model can take it.

        Args:
            rendered: with the model's own parameters, which win where the client says nothing.

        Raises:
            UnfitError: it lacks something that the request needs.
        """
        if self._is_home and _looks_elsewhere(rendered):
            # The server would fetch it, and sees a network that the client does not.
            raise UnfitError(
                f"messages: model {self._model.name!r} takes images as data:image/…;base64,… only", "messages"
            )
        if not self._lacks.isdisjoint(rendered.params):
            rendered = _without(rendered, self._lacks)
        while True:
            try:
                self._check(self._model, rendered)
            except UnsupportedError as error:
                name = error.param
                if name is None or not _is_needless(name, rendered.params.get(name)):
                    raise UnfitError(error.told, name) from None
                # Finding that out takes longer than all the rest of a request.
                self._lacks.add(name)
                rendered = _without(rendered, {name})
            except ConfigError as error:
                raise UnfitError(str(error)) from None
            else:
                return rendered


def _without(request: Request, names: Collection[str]) -> Request:
    params = {
        name: value for name, value in request.params.items() if not (name in names and _is_needless(name, value))
    }
    return Request(request.messages, request.tools, request.response_format, params, request.metadata, request.tags)


def _is_needless(name: str, value: Any) -> bool:
    return name in _HINTS or (name in _NEUTRAL and bool(_NEUTRAL[name] == value))


def _looks_elsewhere(request: Request) -> bool:
    """Whether a message holds the address of an image instead of the image."""
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, list):
            for part in content:
                image = part.get("image_url")
                if isinstance(image, Mapping) and not str(image.get("url")).startswith("data:"):
                    return True
    return False
