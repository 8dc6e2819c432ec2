"""Folders with a bench.yaml, a suite and a store, for pages to open."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

import routebench as rb
from routebench.demonstration import lay_out, recording


def answered_workspace(folder: Path, *, left: int = 0) -> Path:
    """The demonstration, answered from its recording, but for the last cases of its suite.

    Args:
        folder: where it is laid out.
        left: cases that have no answer; a run asks the models themselves.
    """
    lay_out(folder)
    suite = folder / "starter.jsonl"
    whole = suite.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    suite.write_text("".join(lines[: len(lines) - left]), encoding="utf-8")
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    suite.write_text(whole, encoding="utf-8")
    return folder


def imported_workspace(folder: Path, data: Path, name: str) -> Path:
    """A public set of outcomes as a bench; its models cannot be asked, and need not be."""
    from routebench.cli import main

    outcomes, prompts = data / f"{name}.outcomes.parquet", data / f"{name}.prompts.parquet"
    store = folder / "bench.duckdb"
    code = main(
        [
            "import",
            "outcomes",
            "--outcomes",
            str(outcomes),
            "--prompts",
            str(prompts),
            "--store",
            str(store),
            "--name",
            name,
        ]
    )
    assert code == 0
    rows = pd.read_parquet(prompts)
    keys = [key for key in ("prompt", "category", "reference") if key in rows.columns]
    cases = [
        {
            "id": str(row["prompt_id"]),
            "prompt": row["prompt"],
            "grader": "imported",
            **({"category": row["category"]} if "category" in keys else {}),
        }
        for row in rows.to_dict("records")
    ]
    pd.DataFrame(cases).to_json(folder / "suite.jsonl", orient="records", lines=True, force_ascii=False)
    models = sorted(pd.read_parquet(outcomes, columns=["model"]).model.unique())
    bench = {
        "schema": "routebench/bench/v1",
        "suite": {"path": "suite.jsonl", "name": name},
        "store": "bench.duckdb",
        "models": [
            {
                "name": model,
                "provider": "openai",
                "model": model,
                "base_url": "http://127.0.0.1:9/v1",
                "price": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4},
            }
            for model in models
        ],
    }
    (folder / "bench.yaml").write_text(yaml.safe_dump(bench), encoding="utf-8")
    return folder
