"""Cases and models as rows of the store, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from routebench.types import Case, GraderSpec, Message, Model, Price, Request


def case_row(suite: str, case: Case, content_hash: str, position: int) -> dict[str, Any]:
    """Returns the row of table `cases`."""
    request = case.request
    return {
        "suite": suite,
        "case_id": case.id,
        "content_hash": content_hash,
        "messages": [dict(message) for message in request.messages],
        "request": {
            "tools": [dict(tool) for tool in request.tools],
            "response_format": request.response_format,
            "params": dict(request.params),
            **({"metadata": dict(request.metadata)} if request.metadata else {}),
        },
        "target": case.target,
        "grader": case.grader.key,
        "grader_options": {"name": case.grader.name, **case.grader.options},
        "category": case.category,
        "tags": list(case.tags),
        "group_key": case.group,
        "weight": case.weight,
        "stakes_usd": case.stakes_usd,
        "split": case.split,
        "position": position,
        "has_text": bool(request.messages),
    }


def without_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of table `cases` as a purge leaves it."""
    name = row["grader"].partition("#")[0]
    gone: dict[str, Any] = {
        "messages": [],
        "request": None,
        "target": None,
        "grader_options": {"name": name},
        "has_text": False,
    }
    return {**row, **gone}


def case_from_row(row: Mapping[str, Any]) -> Case:
    """Turns a row of table `cases` back into a Case."""
    request = json.loads(row["request"] or "{}")
    options = json.loads(row["grader_options"] or '{"name": "none"}')
    messages: Sequence[Message] = json.loads(row["messages"])
    # Of options that were texts a part may be gone: what they all were is still told by their digest.
    _, _, digest = (row["grader"] or "").partition("#")
    return Case(
        id=row["case_id"],
        request=Request(
            messages=tuple(messages),
            tools=tuple(request.get("tools") or ()),
            response_format=request.get("response_format"),
            params=request.get("params") or {},
            metadata=request.get("metadata") or {},
            tags=tuple(row["tags"] or ()),
        ),
        target=json.loads(row["target"]) if row["target"] is not None else None,
        grader=GraderSpec(options.pop("name"), options, digest or None),
        category=row["category"],
        group=row["group_key"],
        weight=row["weight"],
        stakes_usd=row["stakes_usd"],
        split=row["split"],
    )


def model_row(model: Model, model_key: str, registered_at: datetime, place: int) -> dict[str, Any]:
    """Returns the row of table `models`; a key is named by its environment variable, never written."""
    settings = {
        "base_url": model.base_url,
        "key_env": model.key_env,
        "system": model.system,
        "few_shot": [dict(message) for message in model.few_shot],
        "context_window": model.context_window,
        "max_output": model.max_output,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "region": model.region,
        "retires": None if model.retires is None else model.retires.isoformat(),
    }
    return {
        "model_key": model_key,
        "name": model.name,
        "provider": model.provider,
        "model_id": model.model,
        "params": dict(model.params),
        "price": None if model.price is None else model.price.as_dict(),
        "price_source": model.price_source,
        "price_date": model.price_date,
        "settings": {key: value for key, value in settings.items() if value},
        "registered_at": registered_at,
        "place": place,
    }


def model_from_row(row: Mapping[str, Any]) -> Model:
    """Turns a row of table `models` back into a Model."""
    settings = json.loads(row["settings"] or "{}")
    capabilities = settings.get("capabilities")
    return Model(
        name=row["name"],
        provider=row["provider"],
        model=row["model_id"],
        base_url=settings.get("base_url"),
        key_env=settings.get("key_env"),
        params=json.loads(row["params"] or "{}"),
        system=settings.get("system"),
        few_shot=tuple(settings.get("few_shot") or ()),
        price=Price.from_dict(json.loads(row["price"])) if row["price"] else None,
        price_source=row["price_source"],
        price_date=row["price_date"],
        context_window=settings.get("context_window"),
        max_output=settings.get("max_output"),
        capabilities=None if capabilities is None else frozenset(capabilities),
        region=settings.get("region"),
        retires=date.fromisoformat(settings["retires"]) if settings.get("retires") else None,
    )
