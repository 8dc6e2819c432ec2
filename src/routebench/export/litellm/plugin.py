"""The export in which LiteLLM asks the rule set itself: a config whose classifier is a file of ours beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.export.litellm.asking import FILE, REFUSED, fallback, source, stands_for, tiers_for
from routebench.export.litellm.asking import MOST_TIERS as MOST_DEFINED
from routebench.export.litellm.document import (
    MAIN,
    REFUSED_GROUP,
    SERVE,
    TITLE,
    around,
    around_lost,
    needs_of,
    plain_of,
)
from routebench.export.litellm.ladder import MOST_TRIED
from routebench.export.litellm.service import Groups, model_list
from routebench.export.loss import How, Lost, refuse_lost_guards
from routebench.export.target import Exported
from routebench.export.unchecked import Opening, parts_as_written
from routebench.rules import RuleSet
from routebench.rules.conditions.parts import mentions
from routebench.rules.file.writing import yaml_text
from routebench.types import Request


def export_asking(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),
    openings: Sequence[Opening] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Writes a config.yaml whose router asks the rule set itself, and the classifier beside it; see `Exporting`.

    Raises:
        RulesError: a guard would be lost.
    """
    plain, lost = plain_of(ruleset, openings)
    tiers, whole = tiers_for(plain, requests[:: max(1, len(requests) // MOST_TRIED)])
    lost += _asking_lost(plain, whole=whole)
    lost += around_lost(ruleset, moves=True)
    refuse_lost_guards(lost, TITLE, allow=allow_lost_guards)
    chains = {f"rb{number}": chain for number, chain in enumerate(tiers, start=1)}
    groups = Groups(list(chains.values()), ruleset.order)
    listed, unnamed = model_list(ruleset, groups, names or {})
    lost += unnamed
    safe = fallback(plain)
    led = {name: groups.name(chain) for name, chain in chains.items()}
    back = next((name for name, chain in chains.items() if safe is not None and chain == safe[: len(chain)]), REFUSED)
    refusing = {
        "model_name": REFUSED_GROUP,
        "litellm_params": {"model": "openai/none", "api_key": "none", "api_base": "http://127.0.0.1:9/v1"},
    }
    config = {
        "classifier_type": "custom",
        "classifier_plugin": f"{FILE.removesuffix('.py')}.classifier",
        "tier_definitions": [
            *({"name": name, "description": " > ".join(chain)[:500]} for name, chain in chains.items()),
            {"name": REFUSED, "description": "no model may take it"},
        ],
        "tiers": {**led, REFUSED: REFUSED_GROUP},
        "fallback_tier": back,
    }
    document = around(ruleset, config, led.get(back, REFUSED_GROUP), groups, [*listed, refusing])
    return Exported(
        "litellm",
        {
            MAIN: yaml_text(document),
            FILE: source(ruleset, chains, parts_as_written(openings)),
        },
        tuple(lost),
        replace(plain, rules=tuple(one for one in plain.rules if not _is_unseen(one.when))),
        (
            f"put rules.yaml with its artifacts beside {MAIN} and {FILE}",
            "install routebench, without extras, in LiteLLM's environment",
            *needs_of(ruleset),
        ),
        lambda chain: stands_for(chain, tiers, is_guarded=bool(plain.guards)) or (),
    )


def _asking_lost(ruleset: RuleSet, *, whole: bool) -> Iterator[Lost]:
    if not whole:
        why = f"it has {MOST_DEFINED} tiers, one a model: what is tried after it is not always the same"
        yield Lost("chain", "approximated", why, SERVE)
    for kind, name, when in (
        *(("guard", one.name, one.when) for one in ruleset.guards),
        *(("rule", one.name, one.when) for one in ruleset.rules),
    ):
        if _is_unseen(when):
            how: How = "refused" if kind == "guard" else "dropped"
            yield Lost(f"{kind} {name}", how, "it shows a classifier neither tools nor the form of the answer", SERVE)
    for guard in ruleset.guards:
        if guard.regions is not None:
            why = "it cannot keep a request from the other places of a model"
            yield Lost(f"guard {guard.name}", "refused", why, SERVE)


def _is_unseen(when: Mapping[str, Any]) -> bool:
    """Whether a condition asks for what LiteLLM does not show a classifier."""
    return mentions(when, ("has_tools", "json_schema"))
