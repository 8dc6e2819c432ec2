"""What can be made to carry requests: our transport, or any of httpx's that a test or a user hands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from routebench.providers.transport import Transport

if TYPE_CHECKING:
    import httpx

    Carrier = Transport | httpx.AsyncBaseTransport


def as_transport(carrier: Carrier) -> Transport:
    """Returns what carries requests: ours as it is, httpx's behind our interface."""
    if hasattr(carrier, "send"):
        return cast("Transport", carrier)
    # Late, for a gateway is installed without httpx.
    from routebench.providers.over_httpx import OverHttpx

    return OverHttpx(carrier)
