"""Deterministic tools as models: they answer what they can and abstain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from routebench.errors import ConfigError, nearest
from routebench.messages import last_user_text
from routebench.providers.base import Call, failed, now
from routebench.providers.calculator import answer as calculator
from routebench.types import Completion, Model, Request, Usage

TOOLS: Mapping[str, Callable[[str], str | None]] = {"calculator": calculator}


def find_tool(model: str) -> Callable[[str], str | None]:
    """Returns the tool of that name.

    Raises:
        ConfigError: no such tool is known.
    """
    if model not in TOOLS:
        raise ConfigError(f"unknown tool {model!r}{nearest(model, TOOLS)}; known: {', '.join(sorted(TOOLS))}")
    return TOOLS[model]


def check_tool(model: Model, request: Request) -> None:  # noqa: ARG001 - every check has this form
    """Checks that the tool is known.

    Raises:
        ConfigError: it is not.
    """
    find_tool(model.model)


class Tool:
    """Calls a function on the last user message; None from it is an abstention."""

    async def complete(self, call: Call) -> Completion:
        """Runs the tool in this process; its CPU time is its cost."""
        tool = find_tool(call.model.model)
        prompt = last_user_text(call.request.messages)
        started_at, start, cpu = now(), time.perf_counter(), time.thread_time()
        text = tool(prompt)
        cpu_s = time.thread_time() - cpu
        latency_s = time.perf_counter() - start
        if text is None:
            return failed(
                "abstained",
                f"{call.model.model} has no answer to this prompt",
                cpu_s=cpu_s,
                latency_s=latency_s,
                started_at=started_at,
            )
        return Completion(
            status="ok",
            text=text,
            finish_reason="stop",
            served_model=call.model.model,
            usage=Usage(),
            cpu_s=cpu_s,
            latency_s=latency_s,
            started_at=started_at,
        )

    async def aclose(self) -> None:
        """Nothing to free."""
