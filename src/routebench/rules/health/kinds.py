"""Which requests take alike long, as far as that can be told before they are answered."""

from __future__ import annotations

from routebench.messages import estimate_input_tokens
from routebench.types import Decision


def kind_of(decision: Decision) -> str:
    """Returns the kind of a decided request: its rule, its length to a factor of two, and the form of its answer.

    The runtime knows no category. When requests of a slow category come in numbers, they would pass for a slow-down if
    they were held to what all others take; of another length or rule than these, they are held to their own.
    """
    request = decision.request
    if request is None:
        return decision.rule
    size = estimate_input_tokens(request.messages).bit_length()
    form = ("t" if request.tools else "") + ("f" if request.response_format else "")
    return f"{decision.rule} {size}{form}"
