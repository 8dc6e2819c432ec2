"""The command that says what a rule set does with one request, and why."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routebench.cli.output import DONE, Add, print_json
from routebench.errors import InputError


def _explain(arguments: argparse.Namespace) -> int:
    from routebench.rules import Router, RuleSet

    router = Router(RuleSet.load(arguments.rules), **({} if arguments.at is None else {"now": lambda: arguments.at}))
    request = _request(arguments)
    known = {
        "metadata": {**(request.get("metadata") or {}), **dict(arguments.metadata)},
        "tags": (*(request.get("tags") or ()), *arguments.tag),
        **{key: request[key] for key in ("tools", "response_format", "params") if request.get(key) is not None},
    }
    decision = router.explain(request["messages"], previous=arguments.previous, model=arguments.model, **known)
    if arguments.json:
        print_json(decision.as_dict())
        return DONE
    print(f"{' > '.join(decision.chain)}\nrule {decision.rule}: {decision.why}")
    if decision.cascade is not None:
        print(f"answers have to pass the check {decision.cascade}, or the next model is tried")
    for sentence in decision.counterfactuals:
        print(f"  {sentence}")
    return DONE


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.prompt is not None:
        return {"messages": [{"role": "user", "content": arguments.prompt}]}
    path = arguments.request
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        request = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise InputError(
            f'{path}: a request is {{"messages": [{{"role": "user", "content": "…"}}]}}, and may have tools'
        )
    return dict(request)


def _pair(text: str) -> tuple[str, Any]:
    """Reads NAME=VALUE; a value that is a JSON number, true or false is one."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, read if isinstance(read, (bool, int, float)) else value


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-25T09:30+01:00") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def add_explaining(add: Add) -> None:
    """Adds the command."""
    made = add("explain", _explain, "what a rule set does with a prompt, and why")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    asked = made.add_mutually_exclusive_group(required=True)
    asked.add_argument("--prompt", help="a user message alone")
    asked.add_argument("--request", type=Path, metavar="FILE", help="a chat request as JSON; - reads it from stdin")
    made.add_argument("--metadata", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    made.add_argument("--tag", action="append", default=[], help="a word that the caller sends along")
    made.add_argument("--previous", metavar="MODEL", help="the model that answered the conversation so far")
    made.add_argument("--model", help="the model that the caller names")
    made.add_argument("--at", type=_time, metavar="TIME", help="the time of the request; now when left out")
