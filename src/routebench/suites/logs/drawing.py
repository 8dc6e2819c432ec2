"""A suite from a log: read once to see what is there, and once more to keep the conversations that were drawn.

Of everything that is not drawn a few numbers stay in memory, so a log may be of any length.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import InputError
from routebench.messages import answer_text, text_of
from routebench.redact import Privacy, Redactor, TextMode, load_redactor
from routebench.suites.formats import find_format
from routebench.suites.importers import Answer, Format
from routebench.suites.loaders import is_sealed
from routebench.suites.logs.drawn import Drawn
from routebench.suites.logs.picking import pick
from routebench.suites.logs.sampling import effective
from routebench.suites.logs.seen import Seen, asked_text, told_text
from routebench.suites.logs.similar import digest
from routebench.suites.logs.targets import choices_of, grader_of
from routebench.suites.logs.tasks import recognise

SEAL_FROM = 500
"""Conversations from which a fifth of them is sealed unless somebody says otherwise."""
SEAL = 0.2


def from_logs(
    files: str | Path | Sequence[str | Path],
    *,
    format: str = "litellm-log",  # noqa: A002 - what the command line calls it
    n: int = 500,
    text: TextMode = "redacted",
    redact: str | Callable[[str], str] | None = None,
    seed: int = 42,
    seal: float | None = None,
) -> Drawn:
    """Draws a suite from a log of production; write it with `.write("suite.jsonl")`.

    Args:
        files: the log.
        format: litellm-log, langfuse, otel, traces or jsonl.
        n: how many cases the suite should have; conversations are kept whole.
        text: `redacted` takes e-mail addresses, phone numbers, cards and IBANs out; `full` nothing.
        redact: your own function, from text to text, called after that; or its name, `package.module:function`.
        seed: of the draws.
        seal: share of the conversations that only `check --final` may read; a fifth from 500 on when left out.

    Raises:
        InputError: nothing is wanted, or without texts, or a share that is none.
        OutcomesError: a file cannot be used, or holds no answered request.
    """
    paths = [Path(files)] if isinstance(files, (str, Path)) else [Path(one) for one in files]
    redactor = Redactor(redact) if callable(redact) else load_redactor(redact)
    return draw_suite(find_format(format), paths, n, privacy=Privacy(text, redactor), seed=seed, seal=seal)


def draw_suite(
    form: Format,
    files: Sequence[Path],
    n: int,
    *,
    privacy: Privacy,
    seed: int = 42,
    seal: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Drawn:
    """Draws about n requests of a log, whole conversations at a time.

    Conversations that repeat another word for word are one, with the weight of all; so are those that say nearly the
    same, of three times as many as are wanted. The rest is stratified by recognised task, length and cost.

    Args:
        form: of the log.
        files: all of it.
        n: how many cases the suite should have.
        privacy: what is kept of texts.
        seed: of the draws; the same log and seed give the same suite.
        seal: share of the conversations to seal; a fifth from 500 on when left out.
        tell: is told how far the reading is.

    Raises:
        InputError: nothing is wanted, or without texts, or a share that is none.
        OutcomesError: a file cannot be used, or holds no request that could be drawn.
    """
    _check_wanted(n, privacy, seed, seal)
    rng = np.random.default_rng(seed)
    seen = Seen(form, [one for path in files for one in form.files(path)], tell)
    pool = pick(seen, n, rng)
    calls = seen.fetch(pool.conversations)
    merged = pool.merge({number: _asked(own) for number, own in calls.items()}, rng)
    made: list[dict[str, Any]] = []
    groups: dict[int, str] = {}
    for number, weight in sorted(merged.weight.items()):
        own = [_row(call, turn, privacy) for turn, call in enumerate(calls[number], start=1)]
        # Those that say nearly the same have one, whatever their strata: no split parts them.
        group = groups.setdefault(merged.family[number], _name(own[-1]["messages"]))
        made += [{**row, "group": group, "weight": round(weight / len(own), 6)} for row in own]
    share = (SEAL if len(merged.weight) >= SEAL_FROM else 0.0) if seal is None else seal
    rows = _unique([{**row, "split": "sealed"} if share and is_sealed(row["group"], share) else row for row in made])
    _add_graders(rows)
    inside = Counter(stratum for number in merged.weight for stratum in [pool.stratum[number]] * len(calls[number]))
    return Drawn(
        rows=rows,
        n_lines=seen.n_lines,
        n_requests=int(seen.requests.sum()),
        n_conversations=len(seen.requests),
        n_repeated=seen.n_repeated,
        n_looked_at=len(calls),
        n_similar=merged.n_similar,
        strata=[(*names, int(pool.sizes[place]), inside[place]) for place, names in enumerate(pool.names)],
        models=dict(seen.models.most_common()),
        n_effective=effective(np.array(list(merged.weight.values()))),
        n_sealed=len({row["group"] for row in rows if row.get("split") == "sealed"}),
        redacted=privacy.redactor.found,
        tally=seen.tally,
    )


def _check_wanted(n: int, privacy: Privacy, seed: int, seal: float | None) -> None:
    if n < 1:
        raise InputError(f"a suite from a log: n is {n}; give the number of cases, from 1 on")
    if seed < 0:
        raise InputError(f"a suite from a log: seed is {seed}; give a whole number from 0 on")
    if privacy.text == "none":
        raise InputError("a suite from a log: without texts it could not be run; keep them 'redacted' or 'full'")
    if seal is not None and not 0 <= seal <= 1:
        raise InputError(f"a suite from a log: seal is {seal:g}; give a share from 0 to 1")


def _asked(calls: Sequence[Answer]) -> str:
    """What people asked in a conversation: its longest call has all of it."""
    longest = max((call.case.request.messages for call in calls), key=len)
    return told_text([message for message in longest if message.get("role") in ("user", "tool")])


def _name(messages: Sequence[Mapping[str, Any]]) -> str:
    """Names a conversation by what may be kept of it: a digest of a phone number would tell it to whoever tries all."""
    return f"{digest(asked_text(messages)):016x}"


def _row(call: Answer, turn: int, privacy: Privacy) -> dict[str, Any]:
    case = privacy.of_case(call.case)
    request = case.request
    row: dict[str, Any] = {
        "id": f"{_name(request.messages)[:10]}-{turn}",
        "messages": [dict(message) for message in request.messages],
        "tools": [dict(tool) for tool in request.tools],
        "response_format": request.response_format,
        "params": dict(request.params),
        "target": case.target,
        "reference": privacy.of_text(answer_text(call.text, call.tool_calls)),
        "incumbent": call.model,
        "category": recognise(call.case.request),
    }
    return {key: value for key, value in row.items() if value not in (None, "", [], {})}


def _unique(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two conversations may ask one question at the same turn: their ids are told apart."""
    counts: Counter[str] = Counter()
    result = []
    for row in rows:
        counts[row["id"]] += 1
        number = counts[row["id"]]
        result.append(row if number == 1 else {**row, "id": f"{row['id']}-{number}"})
    return result


def _add_graders(rows: Sequence[dict[str, Any]]) -> None:
    """Says how each case is graded: against its target where the log tells one, else against the incumbent's answer."""
    # Those of one system prompt are one task: its labels are no choices of another.
    told: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        told[_told_to_be(row)].append(row.get("target"))
    choices = {task: choices_of(targets) for task, targets in told.items()}
    for row in rows:
        row["grader"] = grader_of(row.get("target"), choices[_told_to_be(row)], row.pop("incumbent"))


def _told_to_be(row: Mapping[str, Any]) -> str:
    return "\n".join(text_of(message) for message in row["messages"] if message.get("role") in ("system", "developer"))
