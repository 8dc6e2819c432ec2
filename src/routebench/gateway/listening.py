"""Where the gateway listens, and which visitors it takes without a key."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from routebench.errors import ConfigError
from routebench.gateway.refusal import Refusal
from routebench.gateway.settings import GatewayConfig

_BACKLOG = 2048


def check_listening(host: str, config: GatewayConfig) -> None:
    """Checks that nobody but this machine can reach a gateway without keys.

    Args:
        host: the interface that it is to listen on.
        config: with the keys.

    Raises:
        ConfigError: others can reach it, and there is no key.
    """
    if config.keys or is_local(host):
        return
    file = config.path or "gateway.yaml"
    raise ConfigError(
        f"--host {host}: others than this machine can reach it, and whoever does could spend your money; make keys "
        f"(`routebench keys new NAME --config {file}`) and give --config {file}, or leave --host out"
    )


def listening(host: str, port: int) -> socket.socket:
    """Opens the socket of an address, so that a port that is taken is told before anything else is done.

    Args:
        host: the interface.
        port: 0 for any that is free.

    Raises:
        ConfigError: it cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
            made.listen(_BACKLOG)
        except (OSError, OverflowError):
            made.close()
            raise
    except OverflowError:
        # What a port beyond 65535 is to `bind`.
        raise ConfigError(f"cannot listen on {host}:{port}: a port is 0 to 65535; give another --port") from None
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port") from None
    return made


def check_visitor(headers: Mapping[bytes, bytes]) -> None:
    """Checks that a request without a key is meant for this machine, and not sent by a page of some site.

    A browser on this machine reaches what listens here, whichever site its page is from. Such a page either names its
    site as the origin, or has had its site's name point at this machine, and then that name is the host.

    Args:
        headers: of the request, their names in lower case.

    Raises:
        Refusal: 403.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if host and not _is_here(f"//{host}"):
        raise _stranger(f"the host {host[:80]!r} is not this machine", "foreign_host")
    origin = headers.get(b"origin")
    if origin is not None and not _is_here(origin.decode("latin-1")):
        raise _stranger("a page of another site sent this request", "foreign_origin")


def is_local(host: str) -> bool:
    """Whether only this machine can reach an interface."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# The same few names come with every request.
@lru_cache(maxsize=64)
def _is_here(url: str) -> bool:
    try:
        return is_local(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _stranger(reason: str, code: str) -> Refusal:
    return Refusal(
        403,
        f"{reason}, and this gateway asks for no keys; ask it as http://127.0.0.1, or give it keys: "
        "`routebench keys new NAME`",
        kind="permission_error",
        code=code,
    )
