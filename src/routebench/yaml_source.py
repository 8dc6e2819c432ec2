"""YAML with a memory of where every value stood, so that an error can name file, line and column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from routebench.errors import InputError

_MAX_CHARACTERS = 5_000_000
_MAX_NODES = 200_000
_MAX_DEPTH = 100
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A parsed YAML document and the place of each of its values.

    Attributes:
        name: what errors call the file.
        data: the document as plain Python values.
        places: path from the root -> (line, column), counted from one; a mapping's key stands for its value.
    """

    name: str
    data: Any
    places: dict[Path, tuple[int, int]]

    def where(self, path: Sequence[str | int]) -> str:
        """Returns `name:line:column` of the value at a path, or of its closest known parent.

        Parts that the document does not have, such as the name of a union's branch in a validation error, are skipped.
        """
        found: Path = ()
        for part in path:
            if (*found, part) in self.places:
                found = (*found, part)
        line, column = self.places.get(found, (1, 1))
        return f"{self.name}:{line}:{column}"


def parse_yaml(text: str, name: str) -> YamlSource:
    """Parses a YAML document safely.

    Raises:
        InputError: not YAML, a duplicate key, an alias, or a document too large to be a settings file.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InputError(f"{name}: {len(text)} characters is too long for a settings file (at most {_MAX_CHARACTERS})")
    lone = _LONE_SURROGATE.search(text)
    if lone is not None:
        line = text.count("\n", 0, lone.start()) + 1
        raise InputError(f"{name}:{line}: half of a character, {lone[0]!r}; write the whole one, or take it out")
    try:
        node = yaml.compose(text, Loader=_LOADER)
        places: dict[Path, tuple[int, int]] = {}
        problems: list[str] = []
        if node is not None:
            _Walk(name, places, problems).visit(node, ())
        data = _construct(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InputError(f"{name}{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not valid YAML: {error}") from None
    if problems:
        raise InputError("\n".join(problems))
    return YamlSource(name, data, places)


def _construct(text: str) -> Any:
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one


class _Walk:
    def __init__(self, name: str, places: dict[Path, tuple[int, int]], problems: list[str]) -> None:
        self._name = name
        self._places = places
        self._problems = problems
        self._seen = 0

    def visit(self, node: yaml.Node, path: Path, mark: yaml.Mark | None = None) -> None:
        # Nodes that aliases repeat are visited again each time, so an alias bomb ends here too.
        self._seen += 1
        if self._seen > _MAX_NODES:
            raise InputError(f"{self._name}: more than {_MAX_NODES} values; is an alias repeated many times?")
        if len(path) > _MAX_DEPTH:
            raise InputError(f"{self._name}: nested more than {_MAX_DEPTH} deep; does an alias point at itself?")
        mark = mark or node.start_mark
        self._places[path] = (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if key in keys:
                    line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
                    self._problems.append(f"{self._name}:{line}:{column}: key {key!r} stands twice; keep one")
                keys.add(key)
                self.visit(value_node, (*path, key), key_node.start_mark)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.visit(child, (*path, index))
