"""A provider that does what a test says, model by model and call by call, behind a gateway that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from routebench.gateway import Gateway
from routebench.providers import Call, Done, Event, TextDelta, failed
from routebench.traces import read_traces
from routebench.types import Completion, ErrorKind, Usage

USAGE = Usage(input_tokens=100, output_tokens=10)


def says(text: str, **facts: Any) -> Completion:
    facts = {"usage": USAGE, "latency_s": 0.02, "ttft_s": 0.01, "finish_reason": "stop", **facts}
    return Completion("ok", text=text, served_model="served", **facts)


def fails(kind: ErrorKind, sentence: str = "it failed", **facts: Any) -> Completion:
    return failed(kind, sentence, latency_s=0.02, **facts)


@dataclass(frozen=True)
class Breaks:
    """Begins to answer, and breaks off."""

    text: str
    kind: ErrorKind = "incomplete"


@dataclass(frozen=True)
class Hangs:
    """Answers nothing, for ever; a stream not after its first words."""

    text: str = ""


Step = Completion | Breaks | Hangs


@dataclass
class Scripted:
    """By the model's name what its calls bring, the last one again and again."""

    script: dict[str, list[Step]]
    calls: list[Call] = field(default_factory=list)
    n_cancelled: int = 0
    n_closed: int = 0

    def _step(self, call: Call) -> Step:
        self.calls.append(call)
        steps = self.script[call.model.name]
        return steps.pop(0) if len(steps) > 1 else steps[0]

    async def _hang(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise

    async def complete(self, call: Call) -> Completion:
        step = self._step(call)
        if isinstance(step, Hangs):
            await self._hang()
        return failed(step.kind, "it broke") if isinstance(step, Breaks) else step  # type: ignore[return-value]

    async def stream(self, call: Call) -> AsyncIterator[Event]:
        step = self._step(call)
        if isinstance(step, Hangs):
            for word in step.text.split():
                yield TextDelta(word + " ")
            await self._hang()
        elif isinstance(step, Breaks):
            for word in step.text.split():
                yield TextDelta(word + " ")
            yield Done(failed(step.kind, "it broke off"))
        else:
            for word in (step.text or "").split(" ") if step.status == "ok" else ():
                yield TextDelta(word + " ")
            yield Done(step)

    async def aclose(self) -> None:
        self.n_closed += 1

    @property
    def asked(self) -> list[str]:
        return [call.model.name for call in self.calls]


@dataclass
class Running:
    gateway: Gateway
    provider: Scripted
    client: httpx.Client
    traces: Path

    def ask(self, text: str = "hi", **body: Any) -> httpx.Response:
        messages = body.pop("messages", [{"role": "user", "content": text}])
        return self.client.post(
            "chat/completions", json={"model": body.pop("model", "auto"), "messages": messages, **body}
        )

    def stream(self, text: str = "hi", **body: Any) -> list[Any]:
        """The data of the events of a stream, as JSON; the mark at its end as it is."""
        answer = self.ask(text, stream=True, **body)
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    def rows(self) -> list[dict[str, Any]]:
        """The traces, once the gateway has ended."""
        self.gateway.stop()
        rows = read_traces(self.traces).sort_values("at").to_dict("records")
        return [{name: None if value != value else value for name, value in row.items()} for row in rows]  # noqa: PLR0124 - NaN


def text_of(events: list[Any]) -> str:
    """The text of a stream's events."""
    deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]" and event.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)


@contextmanager
def running(
    folder: Path,
    rules: str,
    script: Mapping[str, list[Step]],
    *,
    config: str | None = None,
    look: Callable[[str], str | None] = lambda _: "sk-of-a-provider",
    **options: Any,
) -> Iterator[Running]:
    """A gateway before a scripted provider."""
    path = folder / "rules.yaml"
    path.write_text(rules)
    if config is not None:
        (folder / "gateway.yaml").write_text(config)
        options["config"] = folder / "gateway.yaml"
    provider = Scripted({name: list(steps) for name, steps in script.items()})
    gateway = Gateway(path, port=0, traces=folder / "traces", look=look, open_provider=lambda *_: provider, **options)
    with gateway, httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield Running(gateway, provider, client, folder / "traces")
