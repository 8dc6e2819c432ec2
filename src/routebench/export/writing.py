"""The exported files with their heading: from which rules, on what evidence, what was lost, and who tried it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from routebench.errors import InputError
from routebench.export.effect import Effect
from routebench.export.json_text import json_text
from routebench.export.target import Exported
from routebench.export.verify.verified import Verified
from routebench.rules import RuleSet

HEADING = "_routebench"
"""The key of the heading in a JSON file, which has no comments."""
WRITTEN = "Written by `routebench export"
"""What every heading begins with."""


def heading(
    ruleset: RuleSet, exported: Exported, effect: Effect | None = None, verified: Verified | None = None
) -> tuple[str, ...]:
    """Returns the lines that the files begin with."""
    return tuple(_lines(ruleset, exported, effect, verified))


def _lines(ruleset: RuleSet, exported: Exported, effect: Effect | None, verified: Verified | None) -> Iterator[str]:
    yield f"{WRITTEN} --to {exported.target}` from the rules {ruleset.name!r}."
    yield f"Write it again rather than edit it. policy sha256: {ruleset.policy_sha256}"
    evidence = ruleset.evidence
    if evidence:
        said = [f"suite {evidence.get('suite')}"]
        if evidence.get("outcomes_sha256"):
            said.append(f"outcomes {str(evidence['outcomes_sha256'])[:12]}")
        if evidence.get("n_test") is not None:
            said.append(f"{evidence['n_test']} held-out cases")
        said += list(_measured(evidence))
        yield f"evidence: {', '.join(said)}"
    else:
        yield "evidence: none is in the rules"
    yield f"verified: {_verified(verified)}"
    for sentence in () if effect is None else effect.sentences:
        yield f"replayed{f' on {effect.suite}' if effect is not None and effect.suite else ''}: {sentence}"
    for one in exported.lost:
        yield f"lost: {one}"
    if not exported.lost:
        yield "lost: nothing"
    for need in exported.needs:
        yield f"needs: {need}"


def _measured(evidence: Mapping[str, Any]) -> Iterator[str]:
    quality, cost = evidence.get("quality"), evidence.get("cost_usd_per_1k")
    if isinstance(quality, Mapping) and quality.get("mean") is not None:
        bounds = quality.get("ci95")
        told = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
        yield f"quality {quality['mean']:.3f}{told}"
    if isinstance(cost, Mapping) and cost.get("mean") is not None:
        yield f"${cost['mean']:.3f} for 1,000 requests"
    if evidence.get("created"):
        yield f"measured {evidence['created']}"


def _verified(verified: Verified | None) -> str:
    if verified is None:
        return "not verified"
    share = "n/a" if verified.agreement is None else f"{verified.agreement:.1%}"
    if verified.how == "validated":
        return f"accepted by {verified.by}, which did not run; {share} of {verified.n} prompts agree by replay"
    return f"by {verified.by}: {share} of {verified.n} prompts went where the rules send them"


def headed(name: str, text: str, lines: tuple[str, ...]) -> str:
    """Returns the text of a file that begins with its heading.

    Args:
        name: of the file; its ending says how comments are written there.
        text: of the file.
        lines: of the heading.
    """
    if name.endswith(".json"):
        document = json.loads(text)
        if not isinstance(document, dict):
            return text
        return json_text({HEADING: list(lines), **document})
    plain = [" ".join(line.split()) for line in lines]
    return "".join(f"# {line}\n" for line in plain) + text


def check_place(exported: Exported, out: Path) -> None:
    """Checks that the main file would be written over no other one of the export, and not over the rules.

    Raises:
        InputError: it would.
    """
    main, *others = exported.files
    source = exported.ruleset.source
    if out.name in others or (source is not None and out.resolve() == Path(source).resolve()):
        raise InputError(f"{out}: this name is taken by what belongs beside it; give another, such as {main}")


def write(exported: Exported, out: Path, lines: tuple[str, ...]) -> tuple[Path, ...]:
    """Writes the files, the main one as `out` and the others beside it; returns their paths.

    Raises:
        InputError: as `check_place`, or a file cannot be written.
    """
    check_place(exported, out)
    written = []
    main = next(iter(exported.files))
    for number, (name, text) in enumerate(exported.files.items()):
        path = out if number == 0 else out.parent / name
        # The other files name the main one, which may be called otherwise here.
        own = text if number == 0 else text.replace(repr(main), repr(out.name))
        said = headed(name, own, lines if number == 0 else lines[:2])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(said, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
        written.append(path)
    return tuple(written)
