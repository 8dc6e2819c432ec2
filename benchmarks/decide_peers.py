"""What other routers take to decide one prompt, with whichever Python has them installed.

Run by `decide.py` in a process of its own: reads prompts as JSON from stdin and prints microseconds a decision as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any


def microseconds(work: Callable[[str], Any], text: str) -> float:
    work(text)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(30):
            work(text)
        best = min(best, (time.perf_counter() - start) / 30)
    return best * 1e6


def litellm_complexity() -> tuple[str, Callable[[str], Any]]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from importlib.metadata import version

    from litellm import Router

    def deployment(name: str, model: str, **rest: Any) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": model, **rest}}

    tiers = {"SIMPLE": "small", "MEDIUM": "small", "COMPLEX": "large", "REASONING": "large"}
    router = Router(
        model_list=[
            deployment("small", "openai/small", api_key="none"),
            deployment("large", "openai/large", api_key="none"),
            deployment(
                "auto", "auto_router/complexity_router", complexity_router_default_model="small",
                complexity_router_config={"classifier_type": "heuristic", "tiers": tiers},
            ),
        ]
    )  # fmt: skip
    found = next(iter(router.complexity_routers.values()))
    found = found[0] if isinstance(found, list) else found
    return f"LiteLLM {version('litellm')} complexity heuristic", getattr(found, "strategy", found).classify


def semantic_router() -> tuple[str, Callable[[str], Any]]:
    from importlib.metadata import version

    import numpy as np
    from semantic_router import IndexedRouter, Route
    from semantic_router.encoders import DenseEncoder

    class Hashed(DenseEncoder):
        """Words hashed into 256 columns: an encoder that costs next to nothing, so that the router is what is timed."""

        name: str = "hashed"
        score_threshold: float | None = 0.1

        def __call__(self, docs: list[str]) -> list[list[float]]:
            made = []
            for text in docs:
                vector = np.zeros(256)
                for word in text.lower().split():
                    vector[zlib.crc32(word.encode()) % 256] += 1
                made.append((vector / max(np.linalg.norm(vector), 1e-9)).tolist())
            return made

    routes = [
        Route(
            name=f"r{number}", utterances=[f"topic {number} question {place} about thing{number}" for place in range(6)]
        )
        for number in range(8)
    ]
    return f"semantic-router {version('semantic-router')}, 8 routes", IndexedRouter(encoder=Hashed(), routes=routes)


def main() -> None:
    prompts = json.load(sys.stdin)
    found = []
    for make in (litellm_complexity, semantic_router):
        try:
            name, work = make()
        except ImportError:
            continue
        found.append({"name": name, "us": {label: microseconds(work, text) for label, text in prompts.items()}})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
