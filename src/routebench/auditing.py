"""Asking a running router what it would do with every case of a suite, and keeping what it told."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from routebench.errors import ConfigError, InputError, ProviderError, nearest
from routebench.providers import Gateway, Told, find_gateway
from routebench.run.retry import Retry
from routebench.store import Store, read_cases, read_models
from routebench.suites.importers import (
    RecordedDecision,
    RecordedDecisions,
    RunningRouter,
    decision_line,
    read_decisions,
    router_line,
)
from routebench.types import Case, Completion

_MAX_ATTEMPTS = 4
_ANSWERED = Completion(status="ok")


@dataclass(frozen=True, slots=True)
class Audited:
    """What became of a suite's cases.

    Attributes:
        recorded: the decisions, as they stand in the file.
        n_asked: cases that were asked now; the others were in the file.
        unknown_models: names that are no model of the suite -> how often, with the nearest name in words.
    """

    recorded: RecordedDecisions
    n_asked: int
    unknown_models: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The form that `decisions --json` prints."""
        router = self.recorded.router
        return {
            "out": str(self.recorded.source),
            "router": None if router is None else router.title,
            "way": None if router is None else router.way,
            "n_cases": len(self.recorded.by_case),
            "n_asked": self.n_asked,
            "n_undecided": self.recorded.n_undecided,
            "models": dict(self.recorded.models.most_common()),
            "unknown_models": dict(self.unknown_models),
        }

    def __str__(self) -> str:
        decided = self.recorded.models
        total = sum(decided.values())
        lines = [
            f"{self.recorded.title}: {total} of {len(self.recorded.by_case)} cases decided, {self.n_asked} asked now"
        ]
        lines += [f"  {count / total:.0%} {name} ({count})" for name, count in decided.most_common()]
        reasons = sorted({row.error or "no reason told" for row in self.recorded.by_case.values() if not row.chain})
        lines += [f"undecided, {self.recorded.n_undecided} cases: {reason}" for reason in reasons[:5]]
        for name, words in self.unknown_models.items():
            lines.append(
                f"no model of the suite: {name!r}{words}; the same command with --map '{name}=NAME' renames it"
            )
        return "\n".join(lines)


def record_decisions(
    store: Store,
    suite: str,
    url: str,
    out: str | Path,
    *,
    at: Callable[[], datetime],
    model: str = "auto",
    key: str | None = None,
    names: Mapping[str, str] | None = None,
    allow_paid: bool = False,
    concurrency: int = 8,
    timeout_s: float = 60.0,
    prompts: Sequence[Case] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Audited:
    """Asks a gateway about every case that the file does not hold yet, and writes what it told, without prompt texts.

    Every decision is in the file before the next is waited for, so an interrupted recording goes on from there. A
    question that fails is a row with its error and without a model; the next run asks it again.

    Args:
        store: holds the suite's cases.
        suite: its name.
        url: of the gateway.
        out: the file, JSON Lines.
        at: the wall clock.
        model: what the gateway calls its router.
        key: of the gateway.
        names: names that the gateway tells -> the suite's own.
        allow_paid: also where every question is paid for.
        concurrency: questions at once; more of them make deciding look slower.
        timeout_s: the longest time of one question.
        prompts: the cases, for a store that keeps no texts.
        tell: takes a sentence about what goes on.

    Raises:
        ConfigError: asking is paid for and nobody allowed it, or the gateway has no such router.
        InputError: the file holds decisions of another router, or cannot be written; or a prompt is not kept.
        ProviderError: nobody answers, or the key is refused.
    """
    cases = read_cases(store, suite) if prompts is None else list(prompts)
    textless = next((case for case in cases if not case.request.messages), None)
    if textless is not None:
        raise InputError(
            f"the prompt of case {textless.id!r} is not kept, so no gateway can be asked about it; give --prompts FILE"
        )
    known = [one.name for one in read_models(store, suite)]
    out = Path(out)
    if out.suffix.lower() not in (".jsonl", ".ndjson"):
        raise InputError(f"{out}: decisions are written as JSON Lines; end the name in .jsonl")

    # Before anything is asked, and perhaps paid for.
    for served, ours in (names or {}).items():
        if known and ours not in known:
            raise InputError(
                f"--map {served}={ours}: suite {suite!r} has no model {ours!r}{nearest(ours, known)}; it has "
                f"{', '.join(known)}"
            )

    async def go() -> tuple[RunningRouter, dict[str, RecordedDecision], int]:
        gateway = await find_gateway(url, model, key=key, timeout_s=timeout_s)
        try:
            router = RunningRouter(
                gateway.name, gateway.version, gateway.way, model, suite, at().isoformat(timespec="seconds")
            )
            router, rows = _known_rows(out, router, cases)
            wanted = [case for case in cases if case.id not in rows]
            tell(f"{router.title}, asked by {gateway.way}: {len(wanted)} of {len(cases)} cases to ask")
            if wanted and gateway.pays_for is not None and not allow_paid:
                raise ConfigError(
                    f"{router.title}: it has no free way to tell, so that asking means {len(wanted)} paid "
                    f"{gateway.pays_for}, or a few more with retries; add --allow-paid"
                )
            _write(out, router, rows.values())
            await _ask_all(gateway, wanted, out, rows, concurrency, tell)
        finally:
            await gateway.aclose()
        return router, rows, len(wanted)

    router, rows, n_asked = asyncio.run(go())
    renamed = [_renamed(rows[case.id], names or {}) for case in cases if case.id in rows]
    _write(out, router, renamed)
    recorded = RecordedDecisions(router, {row.case_id: row for row in renamed}, out)
    unknown = {name: nearest(name, known) for name in recorded.models if known and name not in known}
    return Audited(recorded, n_asked, unknown)


def _known_rows(
    out: Path, router: RunningRouter, cases: Sequence[Case]
) -> tuple[RunningRouter, dict[str, RecordedDecision]]:
    """What an earlier recording of the same router left: its head, and the rows that hold a decision."""
    if not out.exists():
        return router, {}
    text = out.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        # The last line of a recording that was killed; what it said is asked again.
        out.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    if not out.stat().st_size:
        return router, {}
    old = read_decisions(out)
    if old.router is None or replace(old.router, asked_at=router.asked_at) != router:
        was = "a router that it does not name" if old.router is None else f"{old.router.title} ({old.router.way})"
        raise InputError(
            f"{out}: holds decisions of {was}, model and suite included; what is there now is {router.title} "
            f"({router.way}); choose another --out"
        )
    ids = {case.id for case in cases}
    return old.router, {name: row for name, row in old.by_case.items() if row.chain and name in ids}


async def _ask_all(
    gateway: Gateway,
    cases: Sequence[Case],
    out: Path,
    rows: dict[str, RecordedDecision],
    concurrency: int,
    tell: Callable[[str], None],
) -> None:
    slots = asyncio.Semaphore(concurrency)
    step = max(1, len(cases) // 10)
    with out.open("a", encoding="utf-8") as file:

        async def one(case: Case) -> None:
            async with slots:
                row, words = await _ask(gateway, case)
            rows[case.id] = row
            _append(file, row)
            if words is not None:
                # For the eyes alone: a gateway's own words may quote the prompt, so the file holds ours.
                tell(f"case {case.id!r}: {words}")
            done = len(rows)
            if done % step == 0:
                tell(f"{done} cases")

        try:
            async with asyncio.TaskGroup() as group:
                for case in cases:
                    group.create_task(one(case))
        except ExceptionGroup as errors:
            refused = errors.subgroup(ProviderError)
            if refused is None:
                raise
            raise refused.exceptions[0] from None


async def _ask(gateway: Gateway, case: Case) -> tuple[RecordedDecision, str | None]:
    """Asks until there is an answer, or a fault that will not pass; that in the gateway's words, too.

    Raises:
        ProviderError: the key is refused, which no other case would mend.
    """
    attempt = 1
    while True:
        told = await gateway.ask(case.request)
        retry = Retry.decide(
            told.fault or _ANSWERED, attempt=attempt, max_attempts=_MAX_ATTEMPTS, uniform=random.uniform
        )
        if retry.wait_s is None:
            break
        await asyncio.sleep(retry.wait_s)
        attempt += 1
    if told.fault is not None and told.fault.error_kind == "auth":
        raise ProviderError(f"case {case.id!r}: {told.fault.error}; the key's variable is named with --key-env")
    return _row(case, told), None if told.fault is None else told.fault.error


def _row(case: Case, told: Told) -> RecordedDecision:
    fault = told.fault
    return RecordedDecision(
        case.id,
        () if told.model is None else (told.model,),
        told.detail,
        told.latency_s,
        told.cost_usd,
        None if fault is None else f"{fault.error_kind}: {told.reason}",
    )


def _renamed(row: RecordedDecision, names: Mapping[str, str]) -> RecordedDecision:
    """The row in the suite's names; what the gateway said stays beside it."""
    chain = tuple(names.get(name, name) for name in row.chain)
    if chain == row.chain:
        return row
    return replace(row, chain=chain, detail={**row.detail, "served": " > ".join(row.chain)})


def _write(out: Path, router: RunningRouter, rows: Any) -> None:
    """Writes the whole file at once: a reader sees the old one or the new one."""
    beside = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text("".join([router_line(router), *map(decision_line, rows)]), encoding="utf-8")
        beside.replace(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None


def _append(file: IO[str], row: RecordedDecision) -> None:
    file.write(decision_line(row))
    file.flush()
    os.fsync(file.fileno())
