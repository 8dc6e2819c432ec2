"""The block `evidence` of a rules.yaml written anew, with everything around it as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from routebench.errors import RulesError
from routebench.rules.contents import Contents, Default
from routebench.rules.file.writing import to_yaml

_KEY = "evidence"


def replace_evidence(text: str, evidence: Mapping[str, Any], *, name: str = "rules.yaml") -> str:
    """Returns the text of a rules.yaml with other evidence; comments, order and style of the rest stay.

    Args:
        text: of the file.
        evidence: what is to stand there.
        name: what errors call the file.

    Raises:
        RulesError: the file has no `evidence` of its own at the top level, or other parts refer into it.
    """
    try:
        start, end = _span(text)
        made = text[:start] + _block(evidence, text, start) + text[end:]
        same = _rest(text) == _rest(made)
    except (LookupError, yaml.YAMLError):
        same = False
    if not same:
        raise RulesError(
            f"{name}: its `evidence` cannot be written anew; let it stand as a block of its own at the top level, "
            "without anchors, as `routebench tune` writes it"
        )
    return made


def _span(text: str) -> tuple[int, int]:
    """Where the key begins and its value ends."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise LookupError(_KEY)
    for key, value in root.value:
        if key.value == _KEY:
            end = max(key.end_mark.index + 1, _end(value))
            # A text in block style ends with its line, which stays.
            return key.start_mark.index, len(text[:end].rstrip("\r\n"))
    raise LookupError(_KEY)


def _end(node: yaml.Node) -> int:
    """Where a value's last sign is; a block's own mark is beyond the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _block(evidence: Mapping[str, Any], text: str, start: int) -> str:
    # As `to_yaml` writes it: there is one writer of the format.
    whole = to_yaml(Contents(name="-", models={}, default=Default(), evidence=evidence))
    first, last = _span(whole)
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    line_end = "\r\n" if "\r\n" in text else "\n"
    return whole[first:last].replace("\n", line_end + text[line_start:start])


def _rest(text: str) -> Any:
    data = yaml.safe_load(text)
    return {key: value for key, value in data.items() if key != _KEY}
