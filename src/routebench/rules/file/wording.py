"""What is wrong with the shape of a rules.yaml, in the words of its author."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from routebench.config import describe
from routebench.errors import nearest
from routebench.rules.conditions.when import WhenSettings
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
_LONGEST = 40
"""Of a value that a sentence repeats."""


def syntax(sentence: str) -> str:
    """Returns what is wrong with a text that is not YAML, with the mend where one is known."""
    mend = next((mend for part, mend in _SYNTAX if part in sentence), None)
    return sentence if mend is None or "not valid YAML" not in sentence else f"{sentence}; {mend}"


def shape(error: ValidationError, source: YamlSource) -> list[str]:
    """Returns one sentence a mistake, each with its place in the file and the mend."""
    found: dict[tuple[str | int | None, ...], str] = {}
    for problem, plain in zip(error.errors(include_url=False), describe(error, source, RulesSettings), strict=True):
        mistake = _Mistake.of(problem, source)
        said = mistake.sentence()
        # Of a value that fits none of several shapes each shape has its own complaint: the first tells them all.
        apart = said if mistake.kind == "missing" else None if said else plain
        found.setdefault((*mistake.place, apart), f"{source.where(mistake.place)}: {said}" if said else plain)
    return list(dict.fromkeys(found.values()))


@dataclass(frozen=True, slots=True)
class _Mistake:
    """What pydantic found.

    Attributes:
        kind: its name for the mistake.
        key: the last part of where it is.
        place: where that is, as far as the document has it.
        context: what it adds, such as a bound.
    """

    kind: str
    key: str
    place: tuple[str | int, ...]
    value: Any
    context: Mapping[str, Any]

    @classmethod
    def of(cls, problem: Any, source: YamlSource) -> Self:
        location = problem["loc"]
        key = str(location[-1]) if location else ""
        return cls(problem["type"], key, tuple(_place(location, source)), problem["input"], problem.get("ctx") or {})

    def sentence(self) -> str | None:
        """What is wrong in plain words; None where the usual sentence says it well."""
        if not self.key and self.kind != "extra_forbidden":
            return _whole(self.value)
        if self.key == "[key]":
            return f"the name {self.value!r} is no text as it is written; put it in quotes"
        if self._is_no_metadata:
            return f"{self.name} is {_shown(self.value)}; write a text, a number, true or false, or a list of these"
        says = _SAYS.get(self.kind)
        return None if says is None else says(self)

    @property
    def name(self) -> str:
        """What to call the value: its key, or which entry of a list it is."""
        last = self.place[-1] if self.place else self.key
        if isinstance(last, str):
            return f"`{last}`"
        owner = next((part for part in reversed(self.place) if isinstance(part, str)), "list")
        return f"entry {last + 1} of `{owner}`"

    @property
    def example(self) -> str:
        """What to write there, with what leads to it; empty where none is known."""
        written = _EXAMPLES.get(str(self.place[-1])) if self.place else None
        return "" if written is None else f", such as `{written}`"

    @property
    def _is_no_metadata(self) -> bool:
        """Whether it is a value of `metadata` that has none of the shapes that such a value may have."""
        is_of_shape = self.kind.endswith("_type") and self.kind != "dict_type"
        return is_of_shape and any(str(part).startswith("metadata") for part in self.place[-2:])


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


def _whole(value: Any) -> str | None:
    first = f"it begins with `{_EXAMPLES['schema']}`"
    if value is None:
        return f"the file is empty; {first}"
    return None if isinstance(value, Mapping) else f"the file is {_shown(value)}, and a rule set is keys; {first}"


def _missing(mistake: _Mistake) -> str:
    example = f"; write it as in `{_EXAMPLES[mistake.key]}`" if mistake.key in _EXAMPLES else ""
    return f"`{mistake.key}` is missing{example}"


def _unknown(mistake: _Mistake) -> str | None:
    key = mistake.key
    if key == "api_key":
        return "a key does not stand in a file: name the environment variable that holds it, as `key_env`"
    owner = next((part for part in reversed(mistake.place[:-1]) if isinstance(part, str)), None)
    known = [field.alias or name for name, field in WhenSettings.model_fields.items()]
    first, _, name = key.partition(".")
    if owner not in _CONDITIONS or (not name and nearest(key, known)):
        return None
    if name and nearest(first, ["metadata"]):
        return f"unknown key {key!r} (did you mean 'metadata.{name}'?)"
    return f"unknown key {key!r}; a value that the caller sends is metadata.{key}; known here: {', '.join(known)}"


def _choice(mistake: _Mistake) -> str:
    expected = str(mistake.context["expected"])
    if mistake.place == ("schema",):
        return f"this routebench reads {expected} and not {mistake.value!r}; is it a typo, or a newer format?"
    near = nearest(str(mistake.value), [one for one in expected.split("'") if one.isidentifier()])
    return f"{mistake.name} is {mistake.value!r}{near}; it is one of {expected}"


def _no_text(mistake: _Mistake) -> str:
    if isinstance(mistake.value, (bool, int, float)):
        return f"{mistake.name} is read as {_shown(mistake.value)}; put it in quotes if it is a text"
    if mistake.place[-1:] == ("cascade",):
        return "a route names its check; describe the check under the key `cascade` of the file"
    return f"{mistake.name} is {_shown(mistake.value)}, and a text should stand there"


def _no_list(mistake: _Mistake) -> str:
    if isinstance(mistake.value, str):
        return f"{mistake.name} is a list; write [{mistake.value}]"
    return f"{mistake.name} is {_shown(mistake.value)}, and a list should stand there{mistake.example}"


def _no_mapping(mistake: _Mistake) -> str:
    return f"{mistake.name} is {_shown(mistake.value)}, and keys with values should stand there{mistake.example}"


def _pattern(mistake: _Mistake) -> str | None:
    if mistake.key != "sha256":
        return None
    return f"{mistake.name} is no SHA-256, which has 64 digits from 0 to f; `sha256sum FILE` prints it"


def _share(mistake: _Mistake) -> str | None:
    value = mistake.value
    if mistake.context["le"] != 1 or not isinstance(value, (int, float)) or value > 100:
        return None
    return f"{mistake.name} is {value:g}; it is a share from 0 to 1, so {value:g} % is {value / 100:g}"


_SAYS: Mapping[str, Callable[[_Mistake], str | None]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "string_type": _no_text,
    "list_type": _no_list,
    "dict_type": _no_mapping,
    "model_type": _no_mapping,
    "model_attributes_type": _no_mapping,
    "int_type": lambda mistake: f"{mistake.name} is {_shown(mistake.value)}, and a number should stand there",
    "float_type": lambda mistake: f"{mistake.name} is {_shown(mistake.value)}, and a number should stand there",
    "too_short": lambda mistake: f"{mistake.name} is empty; name at least one, or take it out",
    "string_too_short": lambda mistake: f"{mistake.name} is an empty text; write one, or take it out",
    "string_pattern_mismatch": _pattern,
    "less_than_equal": _share,
}
"""By pydantic's names; of the others the usual sentence says enough."""


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        text = repr(value)
        return f"the number {text}" if len(text) <= _LONGEST else f"a number of {len(text)} digits"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= _LONGEST else "a text"
    if isinstance(value, Mapping):
        return "keys with values"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
