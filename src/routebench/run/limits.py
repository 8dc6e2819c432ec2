"""How fast a run may go, as a user says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from routebench.run.limiter import INITIAL


@dataclass(frozen=True, slots=True)
class ProviderLimit:
    """A user's limits for one provider."""

    max_concurrency: int | None = None
    requests_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a run may go.

    Attributes:
        max_concurrency: calls in flight at once, for each provider and account.
        initial_concurrency: where that begins; it grows as long as the provider refuses nothing.
        timeout_s: longest time for one attempt.
        max_attempts: attempts for one call, the first included.
        per_provider: other limits of single providers.
    """

    max_concurrency: int = 64
    initial_concurrency: int = INITIAL
    timeout_s: float = 60.0
    max_attempts: int = 4
    per_provider: Mapping[str, ProviderLimit] = field(default_factory=dict)

    def concurrency(self, provider: str, capacity: int | None) -> int:
        """The most calls in flight to one account of a provider that can work on `capacity`, None for any number."""
        own = self.per_provider.get(provider)
        limit = self.max_concurrency if own is None or own.max_concurrency is None else own.max_concurrency
        return min(limit, capacity or limit)
