"""The real LiteLLM proxy on an exported config, every model of it behind a server that names it."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from routebench.errors import NoEligibleModelError
from routebench.export.verify.asked import Asked, ask_all
from routebench.export.verify.expected import first_models
from routebench.export.verify.lending import LENT, lend
from routebench.export.verify.product import find_program, free_port, running
from routebench.export.verify.upstream import NamingUpstream, upstream
from routebench.export.verify.verified import Verified
from routebench.rules import Reading, Router, RuleSet
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.export.target import Exported

PROGRAM = ".venv-interop/bin/litellm"
_INSTALL = "`make interop` builds .venv-interop with it, or: pip install 'litellm[proxy]'"
_ROUTER = "routebench-auto"
_FAILED = 4
"""Models that are put out of order, one after the other."""


def verify_litellm(
    exported: Exported, original: RuleSet, requests: Sequence[Request], *, product: Path | None = None
) -> Verified:
    """Starts LiteLLM with the exported files and sends it every request; see `Verifying`.

    The addresses and keys of the models are exchanged for those of a server on loopback; all the rest is as exported.
    """
    program = find_program(
        product,
        variable="ROUTEBENCH_LITELLM",
        places=[Path(PROGRAM)],
        name="litellm",
        title="LiteLLM",
        install=_INSTALL,
    )
    expected = first_models(original, requests)
    with tempfile.TemporaryDirectory(prefix="routebench-") as name, upstream() as served:
        folder = Path(name)
        document = _behind(yaml.safe_load(next(iter(exported.files.values()))), served)
        for path, text in exported.files.items():
            (folder / path).write_text(text, encoding="utf-8")
        asks = len(exported.files) > 1
        if asks:
            lend(original, folder)
        config = folder / next(iter(exported.files))
        config.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
        key, port = f"sk-{secrets.token_hex(24)}", free_port()
        command = [str(program.absolute()), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        with running(
            [*command, "--telemetry", "False"],
            folder=folder,
            ready_url=f"{url}/health/readiness",
            environment={**_environment(key), **({"PYTHONPATH": str(folder / LENT)} if asks else {})},
        ):
            told = asyncio.run(ask_all(f"{url}/v1", _ROUTER, requests, key=key))
            failed = asyncio.run(
                _failover(f"{url}/v1", key, exported.ruleset, requests, told.models, _seconds(document), served)
            )
    replayed = first_models(exported.ruleset, requests)
    alike = sum(one == other for one, other in zip(replayed, told.models, strict=True))
    as_told = f"{alike} of {len(requests)} prompts went where the replay of the export says."
    remarks = [*told.faults, as_told, *failed]
    return Verified.of(f"LiteLLM {told.version or ''}".strip(), "run", expected, told.models, remarks)


def _behind(document: dict[str, Any], served: NamingUpstream) -> dict[str, Any]:
    """The config with every model behind the naming server."""
    for entry in document["model_list"]:
        name = entry.get("model_info", {}).get("routebench_model")
        if name is not None:
            entry["litellm_params"] |= {"model": f"openai/{name}", "api_base": served.base_url(name), "api_key": "none"}
    return document


def _environment(key: str) -> Mapping[str, str]:
    return {
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_LOCAL_BLOG_POSTS": "True",
        "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
        # It would look for the tokenizer of a model whose name it knows, on a network that it need not have.
        "HF_HUB_OFFLINE": "1",
    }


async def _failover(
    url: str,
    key: str,
    ruleset: RuleSet,
    requests: Sequence[Request],
    models: Sequence[str],
    seconds: Mapping[str, frozenset[str]],
    served: NamingUpstream,
) -> list[str]:
    """One request of every first model with that out of order: one that the config names next has to answer."""
    router = Router(ruleset)
    tried: dict[str, Request] = {}
    for request, model in zip(requests, models, strict=True):
        try:
            chain = router.decide(Reading(request)).chain
        except NoEligibleModelError:
            continue
        if model in seconds and len(chain) > 1 and chain[0] == model and len(tried) < _FAILED:
            tried.setdefault(model, request)
    sentences = []
    for model, request in tried.items():
        served.failing = {model}
        told: Asked = await ask_all(url, _ROUTER, [request], key=key)
        wanted = " or ".join(sorted(seconds[model]))
        right = told.models[0] in seconds[model]
        said = f"{told.models[0]} answered" if right else f"{wanted} should have answered, and {told.models[0]} did"
        sentences.append(f"Failover: with {model} out of order {said}.")
    served.failing = set()
    return sentences


def _seconds(document: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """First model -> what may be asked next, by the groups that have fallbacks."""
    firsts = {
        entry["model_name"]: entry.get("model_info", {}).get("routebench_model") for entry in document["model_list"]
    }
    found: dict[str, frozenset[str]] = {}
    for one in document["router_settings"].get("fallbacks", ()):
        for group, after in one.items():
            found[firsts[group]] = found.get(firsts[group], frozenset()) | {after[0]}
    return found
