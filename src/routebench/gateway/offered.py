"""What a request offers and asks for besides its messages: tools, their choice, and the form of the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from routebench.gateway.refusal import wrong

_MOST_TOOLS = 1_000
_NO_PARAMETERS: dict[str, Any] = {}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def check_tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    """Returns the tools as they came.

    Raises:
        Refusal: one of them is no function, or no custom tool of OpenAI's.
    """
    if not isinstance(tools, list):
        wrong("tools", "a list of tools, each {type: function, function: {name: …, parameters: {…}}}", tools)
    if len(tools) > _MOST_TOOLS:
        wrong("tools", f"at most {_MOST_TOOLS} tools, got {len(tools)}")
    for number, tool in enumerate(tools):
        if _is_function(tool):
            continue
        place = f"tools[{number}]"
        if not isinstance(tool, dict):
            wrong(place, "an object with `type` and `function`", tool)
        kind = tool.get("type")
        if kind not in ("function", "custom"):
            # Tools that a provider runs itself fetch pages and run code, at a price that no list of tokens holds.
            wrong(f"{place}.type", "function; tools that a provider runs itself are not offered", kind)
        _check_tool(f"{place}.{kind}", tool.get(kind))
    return tuple(tools)


def _is_function(tool: Any) -> bool:
    """Whether a tool is a function with nothing wrong about it, as nearly all are: no place has to be told."""
    function = tool.get("function") if type(tool) is dict and tool.get("type") == "function" else None
    if type(function) is not dict:
        return False
    name = function.get("name")
    return (
        type(name) is str
        and _NAME.fullmatch(name) is not None
        and type(function.get("description", "")) is str
        and type(function.get("parameters", _NO_PARAMETERS)) is dict
        and type(function.get("strict", False)) is bool
    )


def _check_tool(place: str, function: Any) -> None:
    if not isinstance(function, dict):
        wrong(place, "an object with `name`", function)
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        wrong(f"{place}.name", "1 to 128 letters, digits, underscores, dots and dashes", name)
    for key, kinds, wanted in (
        ("description", str, "a text"),
        ("parameters", dict, "a JSON schema"),
        ("strict", bool, "true or false"),
    ):
        value = function.get(key)
        if value is not None and not isinstance(value, kinds):
            wrong(f"{place}.{key}", wanted, value)
    if "parameters" in function and function["parameters"] is None:
        wrong(f"{place}.parameters", "a JSON schema; leave it out where the function takes nothing", None)


def check_tool_choice(choice: Any, tools: tuple[Mapping[str, Any], ...]) -> None:
    """Checks what the request says of the use of its tools.

    Raises:
        Refusal: it is no choice of the API, or names a tool that the request does not bring.
    """
    if not tools:
        if choice == "none":
            return
        wrong("tool_choice", "needs `tools` beside it; leave it out")
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            wrong("tool_choice", "one of none, auto, required, or {type: function, function: {name: …}}", choice)
        return
    if not isinstance(choice, dict) or choice.get("type") not in ("function", "custom", "allowed_tools"):
        wrong("tool_choice", "one of none, auto, required, or {type: function, function: {name: …}}", choice)
    kind = choice["type"]
    named = choice.get(kind)
    if not isinstance(named, dict):
        wrong(f"tool_choice.{kind}", "an object", named)
    if kind == "allowed_tools":
        return
    name = named.get("name")
    if not isinstance(name, str) or name not in {tool[tool["type"]]["name"] for tool in tools}:
        wrong(f"tool_choice.{kind}.name", "the name of one of the request's tools", name)


def check_response_format(form: Any) -> None:
    """Checks the form that the answer is to have.

    Raises:
        Refusal: it is none of the API, or a schema is asked for and absent.
    """
    if not isinstance(form, dict):
        wrong("response_format", "an object with `type`", form)
    kind = form.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        wrong("response_format.type", "one of text, json_object, json_schema", kind)
    if kind != "json_schema":
        return
    told = form.get("json_schema")
    if not isinstance(told, dict):
        wrong("response_format.json_schema", "an object with `name` and `schema`", told)
    if not isinstance(told.get("name"), str) or not told["name"]:
        wrong("response_format.json_schema.name", "a name", told.get("name"))
    if not isinstance(told.get("schema"), dict):
        wrong("response_format.json_schema.schema", "a JSON schema", told.get("schema"))
