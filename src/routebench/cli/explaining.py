"""The command that says what a rule set does with one request, and why."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routebench.cli.output import DONE, Add, print_json
from routebench.errors import InputError, nearest

_METADATA = "metadata."


def _explain(arguments: argparse.Namespace) -> int:
    from routebench.rules import Router, RuleSet

    ruleset = RuleSet.load(arguments.rules)
    router = Router(ruleset) if arguments.at is None else Router(ruleset, now=lambda: arguments.at)
    if arguments.previous is not None and arguments.previous not in ruleset.models:
        near = nearest(arguments.previous, ruleset.order)
        raise InputError(f"--previous: no model {arguments.previous!r}{near}; models here: {', '.join(ruleset.order)}")
    request = _request(arguments)
    known = {
        "metadata": {**request["metadata"], **dict(arguments.metadata)},
        "tags": (*request["tags"], *arguments.tag),
        **{key: request[key] for key in ("tools", "response_format", "params")},
    }
    decision = router.explain(request["messages"], previous=arguments.previous, model=arguments.model, **known)
    place = router.deployment(decision) if decision.model in ruleset.deployments else None
    if arguments.json:
        document = decision.as_dict()
        print_json(document if place is None else {**document, "deployment": asdict(place)})
        return DONE
    print(f"{' > '.join(decision.chain)}\nrule {decision.rule}: {decision.why}")
    if place is not None:
        region = "" if place.region is None else f" in region {place.region}"
        key = "" if place.key_env is None else f", with the key in {place.key_env}"
        print(f"{place.model} is asked at {place.base_url or 'the address of its provider'}{region}{key}")
    if decision.cascade is not None:
        print(f"answers have to pass the check {decision.cascade}, or the next model is tried")
    for sentence in decision.counterfactuals:
        print(f"  {sentence}")
    return DONE


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    from pydantic import ValidationError

    from routebench.rules.file.schema import RequestSettings

    if arguments.prompt is not None:
        return RequestSettings(messages=[{"role": "user", "content": arguments.prompt}]).model_dump()
    path = arguments.request
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        body = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise InputError(
            f'{path}: a request is {{"messages": [{{"role": "user", "content": "…"}}]}}, and may have tools'
        )
    # What a gateway is sent says max_tokens and the like beside the messages, and null for what it leaves out.
    said = {key: value for key, value in body.items() if value is not None and key in RequestSettings.model_fields}
    rest = {key: value for key, value in body.items() if key not in RequestSettings.model_fields and key != "model"}
    try:
        request = RequestSettings.model_validate(said).model_dump()
    except ValidationError as error:
        problems = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        raise InputError("\n".join(f"{path}: `{key}`: {msg[0].lower()}{msg[1:]}" for key, msg in problems)) from None
    return {**request, "params": {**rest, **request["params"]}}


def _pair(text: str) -> tuple[str, Any]:
    """Reads NAME=VALUE; a value that is a JSON number, true or false is one."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if name.startswith(_METADATA):
        raise argparse.ArgumentTypeError(
            f"write {text.removeprefix(_METADATA)}: the rules say metadata.NAME, callers NAME"
        )
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
    asked.add_argument(
        "--request",
        type=Path,
        metavar="FILE",
        help="the body of a chat request as JSON, perhaps with metadata and tags; - reads it from stdin",
    )
    made.add_argument(
        "--metadata",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value that the caller sends along",
    )
    made.add_argument("--tag", action="append", default=[], help="a word that the caller sends along")
    made.add_argument("--previous", metavar="MODEL", help="the model that answered the conversation so far")
    made.add_argument("--model", help="the model that the caller names")
    made.add_argument(
        "--at",
        type=_time,
        metavar="TIME",
        help="such as 2026-11-25T09:30+01:00, UTC without an offset; now when left out",
    )
