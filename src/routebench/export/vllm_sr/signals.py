"""Signals: what vLLM Semantic Router reads of a request, and a condition as a tree of them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from routebench.export.vllm_sr.nearest import HISTORY, PLAIN
from routebench.rules.reading.keywords import fold, has_ends, spaced
from routebench.rules.reading.request import CODE_PATTERN

_COMPARED = {"gt": "gt", "ge": "gte", "lt": "lt", "le": "lte"}
_LETTERS = r"\p{L}\p{N}\p{M}_"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_SAME = (("'", "['\u2018\u2019\u02bc]"), ("-", "[-\u2010\u2011\u2212]"), (" ", r"[\s\p{Z}]+"))
_SPECIAL = frozenset("\\.+*?()|[]{}^$")

Node = Mapping[str, Any]
"""A leaf `{type, name}`, or `{operator, conditions}`."""


class Signals:
    """Collects the signals that conditions need; what is asked twice is one signal."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._names: dict[str, str] = {}

    def as_dict(self) -> dict[str, list[Mapping[str, Any]]]:
        """Returns `routing.signals`."""
        return {family: list(signals.values()) for family, signals in self._kept.items()}

    def tree(self, when: Mapping[str, Any], name: str) -> Node:
        """Returns a condition, as `nearest` gives it, as a tree of signals.

        Args:
            when: the condition; no key is true of every request.
            name: what its signals are named after.
        """
        if dict(when) == dict(HISTORY):
            return self._history()
        parts = [self._node(key, value, name) for key, value in when.items() if key != "in"]
        return parts[0] if len(parts) == 1 else _group("AND", parts)

    def _node(self, key: str, value: Any, name: str) -> Node:
        if key in ("any", "all"):
            return _group("OR" if key == "any" else "AND", [self.tree(one, name) for one in value])
        if key == "not":
            return _group("NOT", [self.tree(value, name)])
        if key == "any_keyword":
            return self._any_keyword(value, name)
        if key == "all_keywords":
            return _group("AND", [self._any_keyword([one], name) for one in value])
        if key == "regex":
            return self._pattern(value, name)
        if key in ("has_code", "is_question"):
            pattern = CODE_PATTERN if key == "has_code" else r"[?\x{FF1F}\x{061F}][\s\p{Z}]*\z"
            return _wanted(self._pattern(pattern, key), value)
        if key in ("characters", "words"):
            counted = r"(?s:.)" if key == "characters" else rf"[{_LETTERS}]+"
            return self._structure(key, {"type": "count", "source": _regex(counted)}, _predicate(value))
        if key.startswith("metadata."):
            return self._metadata(key[len("metadata.") :], value)
        return self._request(key, value)

    def _request(self, key: str, value: Any) -> Node:
        if key == "language":
            languages = [value] if isinstance(value, str) else value
            codes = [
                self._signal("language", "language", {"description": f"Text in {one}."}, one, fixed=True)
                for one in languages
            ]
            return codes[0] if len(codes) == 1 else _group("OR", codes)
        if key == "input_tokens":
            limits = {"ge": "min_tokens", "le": "max_tokens"}
            band = {limits[name]: str(bound) for name, bound in value.items()}
            return self._signal("context", "context", band, "tokens")
        if key == "turns":
            feature = {"type": "count", "source": {"type": "message", "role": "user"}}
            return self._signal(
                "conversation", "conversation", {"feature": feature, "predicate": _predicate(value)}, key
            )
        source = {"has_tools": "tool_definition", "has_images": "image_content"}[key]
        return _wanted(self._exists(source, key), value)

    def _exists(self, source: str, name: str, role: str | None = None) -> Node:
        of = {"type": source} if role is None else {"type": source, "role": role}
        return self._signal("conversation", "conversation", {"feature": {"type": "exists", "source": of}}, name)

    def _history(self) -> Node:
        several = {"type": "count", "source": {"type": "message", "role": "user"}}
        turns = {"feature": several, "predicate": {"gte": 2}}
        return _group(
            "OR",
            [
                self._signal("conversation", "conversation", turns, "several_turns"),
                self._exists("message", "assistant_spoke", "assistant"),
                self._exists("message", "tool_spoke", "tool"),
            ],
        )

    def _any_keyword(self, keywords: Sequence[str], name: str) -> Node:
        if all(PLAIN.fullmatch(one) for one in keywords):
            listed = {"operator": "OR", "keywords": list(keywords), "case_sensitive": False}
            return self._signal("keywords", "keyword", listed, name)
        return self._pattern("(?i)(?:" + "|".join(_keyword(one) for one in keywords) + ")", name)

    def _pattern(self, pattern: str, name: str) -> Node:
        return self._structure(name, {"type": "exists", "source": _regex(pattern)}, None)

    def _structure(self, name: str, feature: Mapping[str, Any], predicate: Mapping[str, Any] | None) -> Node:
        asked = {"feature": feature, **({} if predicate is None else {"predicate": predicate})}
        return self._signal("structure", "structure", asked, name)

    def _metadata(self, key: str, value: Any) -> Node:
        values = [literal(one) for one in value] if isinstance(value, list) else literal(value)
        predicate = {"in" if isinstance(value, list) else "equals": values}
        return self._signal("metadata", "metadata", {"key": literal(key), "predicate": predicate}, key)

    def _signal(self, family: str, kind: str, asked: Mapping[str, Any], name: str, *, fixed: bool = False) -> Node:
        """A leaf that asks for a signal, which is added where it is new."""
        key = family + json.dumps([asked, name if fixed else ""], sort_keys=True)
        if key not in self._names:
            kept = self._kept.setdefault(family, {})
            self._names[key] = name if fixed else _free(plain_name(name), kept)
            kept[self._names[key]] = {"name": self._names[key], **asked}
        return {"type": kind, "name": self._names[key]}


def plain_name(name: str) -> str:
    """Returns a name of letters, digits and underscores."""
    return "".join(one if one.isascii() and one.isalnum() else "_" for one in name).strip("_") or "signal"


def literal(text: str) -> str:
    """Returns a text as it is written where `$NAME` stands for a variable."""
    return text.replace("$", "$$")


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return (
        name
        if name not in taken
        else next(one for n in range(2, len(taken) + 3) if (one := f"{name}_{n}") not in taken)
    )


def _group(operator: str, conditions: Sequence[Node]) -> Node:
    """Nodes under an operator; one of the same operator gives its own."""
    flat: list[Node] = []
    for one in conditions:
        flat += one["conditions"] if operator != "NOT" and one.get("operator") == operator else [one]
    return {"operator": operator, "conditions": flat}


def _wanted(node: Node, wanted: bool) -> Node:  # noqa: FBT001 - the value is data
    return node if wanted else _group("NOT", [node])


def _regex(pattern: str) -> dict[str, Any]:
    # Without `case_sensitive` it would ignore case, whatever the pattern says.
    return {"type": "regex", "pattern": literal(pattern), "case_sensitive": True}


def _predicate(bounds: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds under its names; of two on one side the stricter, for it takes one."""
    said = {name: bound for name, bound in bounds.items() if bound is not None}
    for strict, loose in (("gt", "ge"), ("lt", "le")):
        if strict in said and loose in said:
            looser = said[loose] > said[strict] if strict == "gt" else said[loose] < said[strict]
            del said[strict if looser else loose]
    return {_COMPARED[name]: bound for name, bound in said.items()}


def _keyword(keyword: str) -> str:
    """A pattern that finds a keyword as a whole word, next to any letter that is none of it."""
    forms = dict.fromkeys((spaced(fold(keyword)), unicodedata.normalize("NFC", " ".join(keyword.split()))))
    return "(?:" + "|".join(_whole(form) for form in forms) + ")"


def _whole(form: str) -> str:
    body = "".join(f"\\{one}" if one in _SPECIAL else one for one in form)
    for written, same in _SAME:
        body = body.replace(written, same)
    before = rf"(?:\A|[^{_LETTERS}]|[{_UNSPACED}])" if has_ends(form[0]) else ""
    after = rf"(?:\z|[^{_LETTERS}]|[{_UNSPACED}])" if has_ends(form[-1]) else ""
    return before + body + after
