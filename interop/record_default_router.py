"""Records what LiteLLM's complexity router, as it comes, does with the starter suite: the demo's router of today.

    make record-default-router

A real proxy on loopback decides; the models behind it are LiteLLM's mocks, and its dry run calls not even those.
Nothing but the models of the tiers is set: classifier, boundaries and weights are LiteLLM's own.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interop.conftest import LITELLM, running
from routebench.auditing import Audited, record_decisions
from routebench.bench import Bench, utc_now
from routebench.demonstration import lay_out, recording
from routebench.suites.starter import DEMO

CHEAPEST, BEST = "smollm2-zero", "smollm2-few"
"""As a team would have it before anything is measured: the configuration without demonstrations is the cheapest that
answers in words, the one with them is said to be the best (bench.yaml lists them weakest first). `smollm2-json` answers
in JSON alone and `calculator` is a tool that abstains from most requests: neither is a chat model to hand a tier to."""
TIERS = {"SIMPLE": CHEAPEST, "MEDIUM": BEST, "COMPLEX": BEST, "REASONING": BEST}
ROUTER = "auto"


def configuration() -> dict[str, Any]:
    """LiteLLM's config: every model of the starter suite by name, and the router over two of them."""
    names = [model["name"] for model in yaml.safe_load((DEMO / "bench.yaml").read_text(encoding="utf-8"))["models"]]
    mocks = {name: {"model": f"openai/{name}", "api_key": "x", "mock_response": "a mock"} for name in names}
    router = {
        "model": "auto_router/complexity_router",
        "complexity_router_default_model": CHEAPEST,
        "complexity_router_config": {"tiers": TIERS},
    }
    deployments = {**mocks, ROUTER: router}
    return {
        "model_list": [{"model_name": name, "litellm_params": params} for name, params in deployments.items()],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }


def record(out: Path) -> Audited:
    """Starts LiteLLM, asks it about every case one after the other, and writes the decisions."""
    key = f"sk-{secrets.token_hex(24)}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        bench = Bench(folder / "bench.yaml", recorded=recording())
        bench.run().wait()
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(configuration()), encoding="utf-8")
        with running(config, key) as url:
            return record_decisions(bench.store, "starter", url, out, at=utc_now, model=ROUTER, key=key, concurrency=1)


if __name__ == "__main__":
    if not LITELLM.exists():
        sys.exit("needs LiteLLM in .venv-interop: `make record-default-router` builds it")
    target = Path(str(DEMO / "litellm-default.jsonl"))
    target.unlink(missing_ok=True)
    sys.stdout.write(f"{record(target)}\n")
