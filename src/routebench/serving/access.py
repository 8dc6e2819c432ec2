"""Who may see a dashboard, and whether it may spend."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass
from typing import Literal

from routebench.errors import ConfigError

_MIN_TOKEN = 16
_MAX_PORT = 65_535

Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Access:
    """Where a dashboard listens, who may come in, and what it may spend.

    Attributes:
        host: the interface; only this machine by default.
        port: 0 for any that is free.
        theme: of the page.
        token: what a visitor must show; None where everybody on this machine may look.
        cap_usd: the most that all runs from its pages may cost together, in US dollars; None where it only shows.
        max_pages: open pages at once; each is a process of its own.

    Raises:
        ConfigError: others than this machine could come in, or money could be spent, without a token or a cap; or there
            is no such port.
    """

    host: str = "127.0.0.1"
    port: int = 8866
    theme: Theme = "light"
    token: str | None = None
    cap_usd: float | None = None
    max_pages: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MAX_PORT:
            raise ConfigError(f"--port {self.port}: ports go from 1 to {_MAX_PORT}; 0 takes any that is free")
        if self.token is not None and len(self.token) < _MIN_TOKEN:
            raise ConfigError(f"--token: {len(self.token)} characters can be guessed; give at least {_MIN_TOKEN}")
        if self.token is None and not self.is_local:
            raise ConfigError(f"--host {self.host}: others than this machine can reach it; give a --token")
        if self.token is None and self.cap_usd is not None:
            raise ConfigError("--allow-run: whoever opens the page could spend your money; give a --token")
        if self.cap_usd is not None and not self.cap_usd > 0:
            raise ConfigError(f"--cap-usd {self.cap_usd:g}: give an amount above 0, in US dollars")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def allows_runs(self) -> bool:
        """Whether its pages may send requests."""
        return self.cap_usd is not None

    def check_free(self) -> None:
        """Checks that the port can be listened on, before anything that takes its time.

        Raises:
            ConfigError: it is taken, or the host is none of this machine's.
        """
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                with socket.socket(family, kind, protocol) as tried:
                    # As the server does: a port that was left a moment ago is free.
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    tried.bind(address)
        except OSError as error:
            raise self.refusal(error.strerror or str(error)) from None

    def refusal(self, why: str) -> ConfigError:
        """The error of an address that cannot be listened on."""
        return ConfigError(f"{self.host}:{self.port}: {why}; choose another --port (0 for any that is free) or --host")


def new_token() -> str:
    """Returns a token that nobody can guess."""
    return secrets.token_urlsafe(24)
