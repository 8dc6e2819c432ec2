"""What is kept of a trace: nothing that is secret, and of texts what the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from routebench.redact import Privacy, Secrets
from routebench.rules.file.writing import plain
from routebench.traces.row import TEXTS, Trace


def preparing(privacy: Privacy, secrets_now: Callable[[], Secrets]) -> Callable[[Trace], Trace]:
    """Returns what makes a row of a trace: providers' keys and, where texts are kept, personal data taken out.

    It is called on the threads that put rows away, never on the event loop.

    Args:
        privacy: what is kept of texts.
        secrets_now: returns the keys of the rule set that serves.
    """

    def kept(value: Any) -> Any:
        return secrets_now().clean_all(privacy.of_value(plain(value)))

    def prepare(trace: Trace) -> Trace:
        error = None if trace.error is None else kept_error(trace.error)
        if trace.messages is None and trace.answer is None:
            return trace if trace.error is None else replace(trace, error=error)
        return replace(trace, error=error, **{name: kept(getattr(trace, name)) for name in TEXTS})

    def kept_error(error: str) -> str:
        # It is the gateway's own sentence or a provider's; one of the latter may quote the prompt.
        return secrets_now().clean(privacy.redactor.clean(error))

    return prepare
