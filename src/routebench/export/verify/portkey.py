"""Portkey's gateway on an exported config, every model of it behind a server that names it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import NoEligibleModelError
from routebench.export.classifying import Classifier, PortkeyHeaders
from routebench.export.verify.asked import ask_all
from routebench.export.verify.expected import first_models
from routebench.export.verify.product import find_program, free_port, running
from routebench.export.verify.upstream import NamingUpstream, upstream
from routebench.export.verify.verified import NOBODY, Verified
from routebench.rules import RuleSet
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.export.target import Exported
    from routebench.export.tiers import ChainTier

PROGRAM = "node_modules/@portkey-ai/gateway/build/start-server.js"
PLACE = f"interop/portkey/{PROGRAM}"
_INSTALL = "`make interop` installs it into interop/portkey, or: npm install @portkey-ai/gateway@1.15.2"
_MODEL = "routebench/auto"
_HELLO = Request(({"role": "user", "content": "Hello"},))


def verify(
    exported: Exported, original: RuleSet, requests: Sequence[Request], *, product: Path | None = None
) -> Verified:
    """Starts the gateway, sends it every request with the classifier's headers, and sees who answers; see `Verifying`.

    The addresses and keys of the models are exchanged for those of a server on loopback; all the rest is as exported.
    """
    program = find_program(
        product,
        variable="ROUTEBENCH_PORTKEY",
        places=[Path(PLACE), Path(PROGRAM)],
        name="portkey-gateway",
        title="Portkey's gateway",
        install=_INSTALL,
    )
    classifier = Classifier(exported.ruleset)
    with tempfile.TemporaryDirectory(prefix="routebench-") as name, upstream() as served:
        config = _behind(json.loads(next(iter(exported.files.values()))), classifier.tiers, served)
        sending = PortkeyHeaders(classifier, config)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with running(
            ["node", str(program.absolute()), f"--port={port}", "--headless"],
            folder=Path(name),
            ready_url=f"{url}/",
            environment={"PORT": str(port), "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        ):
            actual, remarks = asyncio.run(_sent(url, sending, config, requests, served))
    return Verified.of(f"Portkey {_version(program)}", "run", first_models(original, requests), actual, remarks)


async def _sent(
    url: str, sending: PortkeyHeaders, config: Mapping[str, Any], requests: Sequence[Request], served: NamingUpstream
) -> tuple[list[str], list[str]]:
    """Who answered every request, nobody where the classifier sends nothing; and what else was tried."""
    tiers: dict[int, ChainTier] = {}
    for place, request in enumerate(requests):
        try:
            tiers[place] = sending.classifier.decide(request)
        except NoEligibleModelError:
            continue
    headers = [sending.headers(tier) for tier in tiers.values()]
    told = await ask_all(url, _MODEL, [requests[place] for place in tiers], headers=headers)
    actual = dict(zip(tiers, told.models, strict=True))
    remarks = [*told.faults, *await _failovers(url, sending, served), await _untold(url, config)]
    return [actual.get(place, NOBODY) for place in range(len(requests))], remarks


async def _failovers(url: str, sending: PortkeyHeaders, served: NamingUpstream) -> list[str]:
    """Every chain with its first model out of order: the second has to answer."""
    chains = [tier for tier in sending.classifier.tiers if len(tier.chain) > 1]
    wrong = []
    for tier in chains:
        served.failing = {tier.chain[0]}
        told = await ask_all(url, _MODEL, [_HELLO], headers=[sending.headers(tier)])
        if told.models[0] != tier.chain[1]:
            wrong.append(f"{tier.name} ({told.models[0]} answered)")
    served.failing = set()
    if not chains:
        return []
    right = f"with its first model out of order the second answered in {len(chains) - len(wrong)} of {len(chains)}"
    return [f"Failover: {right} tiers" + (f"; not in {', '.join(wrong)}" if wrong else "") + "."]


async def _untold(url: str, config: Mapping[str, Any]) -> str:
    """What becomes of a request that names no tier."""
    text = json.dumps(config, separators=(",", ":"))
    if len(text) > PortkeyHeaders.most:
        return "A request without metadata was not tried: the config is too long for a header."
    told = await ask_all(url, _MODEL, [_HELLO], headers=[{"x-portkey-config": text}])
    if told.faults:
        return f"A request without metadata is refused: {' '.join(told.faults)}"
    return f"A request without metadata is answered by {told.models[0]}."


def _behind(config: dict[str, Any], tiers: Sequence[ChainTier], served: NamingUpstream) -> dict[str, Any]:
    """The config with every model behind the naming server."""
    chains = {tier.name: tier.chain for tier in tiers}
    for target in config["targets"]:
        for name, one in zip(chains[target["name"]], target["targets"], strict=True):
            for leaf in _leaves(one):
                leaf |= {"provider": "openai", "api_key": "none", "custom_host": served.base_url(name)}
                # A second try of a model that is out of order waits before it fails.
                leaf.pop("retry", None)
    return config


def _leaves(target: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "targets" not in target:
        yield target
    for one in target.get("targets", ()):
        yield from _leaves(one)


def _version(program: Path) -> str:
    described = program.resolve().parents[1] / "package.json"
    if not described.exists():
        return "of an unknown version"
    version: str = json.loads(described.read_text(encoding="utf-8"))["version"]
    return version
