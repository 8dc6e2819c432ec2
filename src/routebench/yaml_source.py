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

_UNREADABLE = (ValueError, OverflowError, AttributeError, TypeError)
"""What PyYAML lets out of a date in month 13, a number too long to be one, or a tag that does not suit its value."""

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
    places: dict[Path, tuple[int, int]] = {}
    problems: list[str] = []
    try:
        data = _read(text, name, _Walk(name, places, problems))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InputError(f"{name}{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not valid YAML: {error}") from None
    if problems:
        raise InputError("\n".join(problems))
    return YamlSource(name, data, places)


def _read(text: str, name: str, walk: _Walk) -> Any:
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        walk.visit(node, ())
        try:
            # From the nodes that were walked: reading the text twice is half of what loading a large file takes.
            return loader.construct_document(node)
        except _UNREADABLE as error:
            line, column = _unreadable(loader, node)
            reason = f"a value that cannot be read ({error}); if it is a text, put it in quotes"
            raise InputError(f"{name}:{line}:{column}: {reason}") from None
    finally:
        loader.dispose()


def _unreadable(loader: Any, node: yaml.Node) -> tuple[int, int]:
    """Where the first value stands that the loader cannot make anything of, such as a date in month 13."""
    if isinstance(node, yaml.ScalarNode):
        loader.recursive_objects.clear()
        try:
            loader.construct_object(node)
        except _UNREADABLE:
            return node.start_mark.line + 1, node.start_mark.column + 1
        return (0, 0)
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    inner = [one for pair in pairs for one in pair] if pairs else node.value
    return next((found for one in inner if (found := _unreadable(loader, one)) != (0, 0)), (0, 0))


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
