"""OpenRouter's own SDK on exported templates: are they what its types take? Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import NoEligibleModelError, ProviderError
from routebench.export.classifying import Classifier
from routebench.export.verify.expected import first_models
from routebench.export.verify.product import ended, find_program
from routebench.export.verify.verified import NOBODY, Verified
from routebench.rules import RuleSet
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.export.target import Exported

PROGRAM = ".venv-interop-openrouter/bin/python"
_INSTALL = "`make interop` builds .venv-interop-openrouter with it, or: pip install openrouter==1.3.84"

_SCRIPT = """
import importlib.metadata, json, sys
from openrouter.components import ChatRequest

def strange(given, known, where):
    # Its types pass over what they do not know, so that a name that is gone would not be seen.
    for key, value in given.items():
        if key not in known:
            yield f"{where}.{key}"
        elif isinstance(value, dict):
            yield from strange(value, known[key] or {}, f"{where}.{key}")

wrong = {}
for name, template in json.load(sys.stdin).items():
    body = {"messages": [{"role": "user", "content": "Hello"}], **template}
    try:
        read = ChatRequest.model_validate(body, strict=False)
        unread = list(strange(template, read.model_dump(mode="json", by_alias=True), name))
        if unread:
            wrong[name] = "not read: " + ", ".join(unread)
    except ValueError as error:
        wrong[name] = str(error)
print(json.dumps({"version": importlib.metadata.version("openrouter"), "wrong": wrong}))
"""


def verify(
    exported: Exported, original: RuleSet, requests: Sequence[Request], *, product: Path | None = None
) -> Verified:
    """Has the SDK's types read every template, and chooses one for every request; see `Verifying`."""
    program = find_program(
        product,
        variable="ROUTEBENCH_OPENROUTER",
        places=[Path(PROGRAM)],
        name="routebench-openrouter-python",
        title="OpenRouter's SDK",
        install=_INSTALL,
    )
    templates = json.loads(next(iter(exported.files.values())))["templates"]
    told = _checked(program, templates)
    if told["wrong"]:
        name, why = next(iter(told["wrong"].items()))
        raise ProviderError(f"OpenRouter's types refuse {len(told['wrong'])} templates; {name}: {why}")
    classifier = Classifier(exported.ruleset)
    return Verified.of(
        f"openrouter {told['version']}, its types",
        "validated",
        first_models(original, requests),
        [_chosen(classifier, templates, request) for request in requests],
        [f"The types of the SDK take all {len(templates)} templates. Nothing was sent: OpenRouter is a service."],
    )


def _checked(program: Path, templates: dict[str, Any]) -> dict[str, Any]:
    done = ended(program, ["-c", _SCRIPT], install=_INSTALL, given=json.dumps(templates))
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise ProviderError(f"{program}: OpenRouter's SDK does not load: {last[0]}; {_INSTALL}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _chosen(classifier: Classifier, templates: dict[str, Any], request: Request) -> str:
    """The model whose template's first id a request would ask for."""
    try:
        tier = classifier.decide(request)
    except NoEligibleModelError:
        return NOBODY
    return tier.chain[0] if templates[tier.name]["models"] else NOBODY
