"""The keys of a gateway.yaml, added and taken out with everything around them as it stands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from routebench.errors import ConfigError, nearest
from routebench.gateway.settings import GatewayConfig, parse_settings

_KEYS = "keys"
_BEGIN = "schema: routebench/gateway/v1\n"
_BY_HAND = "let `keys` stand as a list of its own at the top level, each key on lines of its own, or change it by hand"


def add_key(path: Path, entry: Mapping[str, Any]) -> GatewayConfig:
    """Appends a key to a gateway.yaml, which is begun where there is none, and returns what the file says then.

    Args:
        path: of the file; replaced as a whole, so that a gateway that reads it finds the old one or the new one.
        entry: the key as the file is to have it.

    Raises:
        ConfigError: the file or the entry cannot be used, or the file has `keys` in a form that cannot be added to.
    """
    text = _read(path) if path.exists() else ""
    parse_settings(text, path)
    before = _keys(text)
    made = _added(text, entry, path)
    config = parse_settings(made, path)
    if _keys(made) != [*before, dict(entry)] or _rest(made) != _rest(_BEGIN if yaml.safe_load(text) is None else text):
        raise ConfigError(f"{path}: {_BY_HAND}")
    _replace(path, made)
    return config


def remove_key(path: Path, name: str) -> GatewayConfig:
    """Takes a key out of a gateway.yaml, and returns what the file says then.

    Raises:
        ConfigError: the file cannot be used, or has no such key, or has it in a form that cannot be taken out.
    """
    text = _read(path)
    config = parse_settings(text, path)
    names = [key.name for key in config.keys]
    if name not in names:
        there = f"; keys there: {', '.join(names)}" if names else "; it has no keys"
        raise ConfigError(f"{path}: no key {name!r}{nearest(name, names)}{there}")
    made = _removed(text, names.index(name), path)
    config = parse_settings(made, path)
    if _keys(made) != [one for one in _keys(text) if one["name"] != name] or _rest(made) != _rest(text):
        raise ConfigError(f"{path}: {_BY_HAND}")
    _replace(path, made)
    return config


def _added(text: str, entry: Mapping[str, Any], path: Path) -> str:
    line_end = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        lines = text + ("" if not text or text.endswith("\n") else line_end)
        return lines + (_BEGIN + "keys:\n" + _written(entry, 2)).replace("\n", line_end)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise ConfigError(f"{path}: {_BY_HAND}")
    value = next((value for key, value in root.value if key.value == _KEYS), None)
    if value is None:
        text += "" if text.endswith("\n") else line_end
        return text + ("keys:\n" + _written(entry, 2)).replace("\n", line_end)
    if isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        at = _line_end(text, _end(value))
        written = _written(entry, value.start_mark.column).replace("\n", line_end)
        return text[:at] + ("" if text[:at].endswith("\n") else line_end) + written + text[at:]
    if isinstance(value, yaml.SequenceNode) and value.value:
        raise ConfigError(f"{path}: {_BY_HAND}")
    # `keys: []`, or nothing after the colon.
    start, end = value.start_mark.index, value.end_mark.index
    at = _line_end(text, end)
    head = text[:start].rstrip(" ") + text[end:at]
    return head + ("" if head.endswith("\n") else line_end) + _written(entry, 2).replace("\n", line_end) + text[at:]


def _removed(text: str, place: int, path: Path) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # it was read as settings
    key, value = next(pair for pair in root.value if pair[0].value == _KEYS)
    if value.flow_style or root.flow_style:
        raise ConfigError(f"{path}: {_BY_HAND}")
    node = value.value[place]
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    made = text[:start] + text[_line_end(text, _end(node)) :]
    if len(value.value) > 1:
        return made
    # A list without entries is no list: it is said to be empty.
    colon = text.index(":", key.end_mark.index) + 1
    return made[:colon] + " []" + made[colon:]


def _written(entry: Mapping[str, Any], indent: int) -> str:
    """A key as one entry of a list, what is nested in it in one line each."""
    lines = []
    for name, value in entry.items():
        flow = isinstance(value, (list, dict))
        dumped = yaml.safe_dump(value if flow else {name: value}, default_flow_style=flow, sort_keys=False, width=10**6)
        lines.append(f"{name}: {dumped}".rstrip("\n") if flow else dumped.rstrip("\n"))
    return "".join(f"{' ' * indent}{'  ' if number else '- '}{line}\n" for number, line in enumerate(lines))


def _end(node: yaml.Node) -> int:
    """Where a value's last sign is; a block's own mark is beyond the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    """Where the next line begins."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _keys(text: str) -> list[Any]:
    return list((yaml.safe_load(text) or {}).get(_KEYS) or [])


def _rest(text: str) -> dict[str, Any]:
    return {key: value for key, value in (yaml.safe_load(text) or {}).items() if key != _KEYS}


def _read(path: Path) -> str:
    try:
        # As it is: line ends of another system stay.
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `routebench keys new NAME --config {path}` begins one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _replace(path: Path, text: str) -> None:
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(text.encode())
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; nothing was changed") from None
