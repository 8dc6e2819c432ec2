"""What is wrong with the shape of a rules.yaml, in the words of its author."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from routebench.config import describe
from routebench.errors import nearest
from routebench.rules.file.schema import RulesSettings

if TYPE_CHECKING:
    from pydantic import ValidationError

    from routebench.yaml_source import YamlSource

_CONDITIONS = ("when", "answer", "any", "all", "not")
"""Keys whose values are conditions."""
_EXAMPLES = {
    "schema": "schema: routebench/rules/v1",
    "name": "name: support-bot",
    "models": "models: {small: {provider: openai, model: gpt-5-nano}}",
    "default": "default: {route: [small, large]}",
    "route": "route: [small, large]",
    "mix": "mix: [{share: 0.7, route: [small]}, {share: 0.3, route: [large]}]",
    "when": "when: {any_keyword: [contract]}",
    "not": "not: {any_keyword: [contract]}",
    "metadata": "metadata: {data_class: eu_personal}",
    "time": 'time: {after: "08:00", before: "18:00"}',
    "health": "health: {window_s: 10}",
    "budget": "budget: {usd_per_day: 200}",
    "cascade": "cascade: {usable: {finish: [stop]}}",
    "guards": "guards: [{name: legal, when: {any_keyword: [contract]}, at_least: large}]",
    "rules": "rules: [{name: long, when: {words: {gt: 500}}, route: [large]}]",
    **{
        key: f"{key}: {{gt: {bound}}}"
        for key, bound in {
            "characters": 2000, "words": 500, "digits": 0.2, "input_tokens": 8000, "turns": 3, "budget_pace": 1.5,
        }.items()
    },
}  # fmt: skip
_SYNTAX = (
    (
        "cannot start any token",
        "indent with spaces, never with tabs, and put texts that begin with @, % or ` in quotes",
    ),
    ("expected key", "is this line indented like its neighbours, and the part before it finished?"),
    ("expected ':'", "a key is followed by a colon and a space, in this line or the one before"),
    ("expected ','", "close the bracket before it, and put texts with : # [ ] { } or commas in quotes"),
    ("expected '-'", "the lines of a list all begin with a dash, the keys of a mapping with none"),
    ("mapping values are not allowed", "put texts with a colon in quotes, and indent keys like their neighbours"),
    ("escape character", "put patterns in single quotes, in which a backslash is itself"),
    ("undefined alias", "put texts that begin with * in quotes"),
    ("constructor for the tag", "put texts that begin with ! in quotes"),
    ("another document", "a file is one rule set; take the line `---` out, or what follows it"),
)
"""What the YAML reader says, and the mend."""


def syntax(sentence: str) -> str:
    """Returns what is wrong with a text that is not YAML, with the mend where one is known."""
    mend = next((mend for part, mend in _SYNTAX if part in sentence), None)
    return sentence if mend is None or "not valid YAML" not in sentence else f"{sentence}; {mend}"


def shape(error: ValidationError, source: YamlSource) -> list[str]:
    """Returns one sentence a mistake, each with its place in the file and the mend."""
    found: dict[tuple[str | int, ...], str] = {}
    for problem, plain in zip(error.errors(include_url=False), describe(error, source, RulesSettings), strict=True):
        place = tuple(_place(problem["loc"], source))
        said = _sentence(problem, source)
        # Of a value that fits none of several shapes each shape has its own complaint: the first tells them all.
        found.setdefault(place if said else (*place, plain), f"{source.where(place)}: {said}" if said else plain)
    return list(dict.fromkeys(found.values()))


def _place(location: tuple[str | int, ...], source: YamlSource) -> Iterator[str | int]:
    """The parts of a place that the document has, as it writes them."""
    found: tuple[str | int, ...] = ()
    for part in location:
        if (*found, part) in source.places:
            step = part
        elif (*found, str(part)) in source.places:
            step = str(part)  # a key that YAML reads as a number
        elif found[-1:] == ("metadata",) or f"metadata.{part}" in _keys_at(found, source):
            step = f"metadata.{part}"
        else:
            continue
        if (*found, step) in source.places:
            found = (*found, step)
            yield step


def _keys_at(path: tuple[str | int, ...], source: YamlSource) -> Mapping[Any, Any]:
    value: Any = source.data
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _sentence(problem: Any, source: YamlSource) -> str | None:
    """What is wrong in plain words; None where the usual sentence says it well."""
    kind, value, location = problem["type"], problem["input"], tuple(problem["loc"])
    place = tuple(_place(location, source))
    key = _named(place)
    if not location:
        return _whole(value)
    if kind == "missing":
        missing = str(location[-1])
        example = f", such as `{_EXAMPLES[missing]}`" if missing in _EXAMPLES else ""
        return f"`{missing}` is missing{example}"
    if kind == "extra_forbidden":
        return _unknown(str(location[-1]), location)
    if location[-1] == "[key]":
        return f"the name {value!r} is no text as it is written; put it in quotes"
    if kind == "literal_error" and place == ("schema",):
        return f"this routebench reads {problem['ctx']['expected']} and not {value!r}; is it a typo, or a newer format?"
    if kind == "literal_error":
        expected = str(problem["ctx"]["expected"])
        near = nearest(str(value), [one for one in expected.split("'") if one.isidentifier()])
        return f"{key} is {value!r}{near}; it is one of {expected}"
    if any(str(part).startswith("metadata") for part in place[-2:]) and kind != "dict_type":
        return f"{key} is {_shown(value)}; a value is a text, a number, true or false, or a list of these"
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return f"{key} is read as {_read_as(value)}; put it in quotes if it is a text"
    if kind == "list_type" and isinstance(value, str):
        return f"{key} is a list; write [{value}]"
    if kind in ("list_type", "dict_type", "model_type", "model_attributes_type", "string_type"):
        wanted = {"list_type": "a list", "string_type": "a text"}.get(kind, "keys with values")
        example = f", such as `{_EXAMPLES[str(place[-1])]}`" if place and place[-1] in _EXAMPLES else ""
        return f"{key} is {_shown(value)}, and {wanted} should stand there{example}"
    if kind == "too_short":
        return f"{key} is empty; name at least one, or take it out"
    if kind == "string_pattern_mismatch" and place[-1:] == ("sha256",):
        return f"{key} is no SHA-256, which has 64 digits from 0 to f; `sha256sum FILE` prints it"
    if kind == "less_than_equal" and problem["ctx"]["le"] == 1 and 1 < value <= 100:
        return f"{key} is {value:g}; it is a share from 0 to 1, so {value:g} % is {value / 100:g}"
    return None


def _whole(value: Any) -> str | None:
    first = f"it begins with `{_EXAMPLES['schema']}`"
    if value is None:
        return f"the file is empty; {first}"
    return None if isinstance(value, Mapping) else f"the file is {_shown(value)}, and a rule set is keys; {first}"


def _unknown(key: str, location: tuple[str | int, ...]) -> str | None:
    if key == "api_key":
        return "a key does not stand in a file: name the environment variable that holds it, as `key_env`"
    owner = next((part for part in reversed(location[:-1]) if isinstance(part, str)), None)
    if owner not in _CONDITIONS:
        return None
    name = key.partition(".")[2]
    if name and nearest(key.partition(".")[0], ["metadata"]):
        return f"unknown key {key!r} (did you mean 'metadata.{name}'?)"
    return None


def _named(place: tuple[str | int, ...]) -> str:
    """What to call a value: its key, and which entry of a list it is."""
    if not place:
        return "the file"
    last = place[-1]
    if isinstance(last, int):
        owner = next((part for part in reversed(place) if isinstance(part, str)), "list")
        return f"entry {last + 1} of `{owner}`"
    return f"`{last}`"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "keys with values"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"the text {value!r}" if isinstance(value, str) and len(value) <= 60 else f"{_read_as(value)}"


def _read_as(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        text = repr(value)
        return f"the number {text}" if len(text) <= 20 else f"a number of {len(text)} digits"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
