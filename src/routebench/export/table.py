"""The capability tables of all targets as Markdown, for the documentation."""

from __future__ import annotations

from routebench.export.capability import FEATURES
from routebench.export.targets import TARGETS

_SIGNS = {"full": "full", "degraded": "degraded", "none": "**none**"}


def capability_table() -> str:
    """Returns a row a feature and a column a target."""
    targets = list(TARGETS.values())
    held = {target.name: {one.feature: one.degree for one in target.capabilities} for target in targets}
    lines = [
        f"| part of a rule set | {' | '.join(target.name for target in targets)} |",
        f"|---|{'---|' * len(targets)}",
    ]
    for feature, what in FEATURES.items():
        cells = " | ".join(_SIGNS[held[target.name][feature]] for target in targets)
        lines.append(f"| `{feature}`: {what} | {cells} |")
    return "\n".join(lines) + "\n"


def sentences_table(name: str) -> str:
    """Returns a row a feature with its sentence, for one target."""
    lines = ["| part | held | how |", "|---|---|---|"]
    lines += [f"| `{one.feature}` | {_SIGNS[one.degree]} | {one.sentence} |" for one in TARGETS[name].capabilities]
    return "\n".join(lines) + "\n"
