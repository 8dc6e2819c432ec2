"""Packs: canonical, small, checked, and read-only wherever a store is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from routebench.bench import Bench
from routebench.cli import main
from routebench.errors import MissingCellsError, StoreError
from routebench.matrix import open_outcomes
from routebench.store import Store, check_not_a_pack, is_pack, open_store, pack_suite, purge
from routebench.store.pack import read_pack
from tests.upstream import Upstream, chat_stream, serve


def fill(folder: Path, *, n: int = 12, models: Sequence[str] = ("big", "small"), flip: bool = False) -> Store:
    """A store from files; `flip` writes their rows from the last to the first."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    prompts = [
        {"prompt_id": f"p{i:04}", "prompt": f"secret text {i}", "category": "ab"[i % 2], "reference": f"gold {i}"}
        for i in range(n)
    ]
    outcomes = [
        {
            "prompt_id": row["prompt_id"],
            "model": model,
            "score": float(rng.random() < 0.6),
            "cost_usd": float(rng.lognormal(-7, 1)),
            "latency_s": float(rng.lognormal(0, 1)),
            "input_tokens": int(rng.integers(20, 3000)),
            "output_tokens": int(rng.integers(1, 900)),
            "response": "secret answer",
        }
        for row in prompts
        for model in models
    ]
    for name, rows in (("prompts", prompts), ("outcomes", outcomes)):
        lines = [json.dumps(row) + "\n" for row in (reversed(rows) if flip else rows)]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    files = ["--outcomes", str(folder / "outcomes.jsonl"), "--prompts", str(folder / "prompts.jsonl")]
    assert main(["import", "outcomes", *files, "--store", str(folder / "s.duckdb"), "--name", "s"]) == 0
    return Store(folder / "s.duckdb")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack_suite(fill(tmp_path / "a"), "s", tmp_path / "p.rbpack")
    return tmp_path / "p.rbpack"


def test_equal_outcomes_give_equal_bytes(tmp_path: Path, packed: Path) -> None:
    data = packed.read_bytes()
    assert b"secret" not in data
    other = fill(tmp_path / "b", flip=True)
    pack_suite(other, "s", tmp_path / "other.rbpack")
    assert (tmp_path / "other.rbpack").read_bytes() == data
    purge(other, cases=["p0001"])
    pack_suite(other, "s", tmp_path / "purged.rbpack")
    assert (tmp_path / "purged.rbpack").read_bytes() == data
    first = Store(tmp_path / "a" / "s.duckdb")
    whole = open_outcomes(first, "s", models=["big", "small"])
    assert open_outcomes(open_store(packed), "s", models=["big", "small"]).status.tolist() == whole.status.tolist()
    pack_suite(open_store(packed), "s", tmp_path / "again.rbpack")
    assert read_pack(tmp_path / "again.rbpack")[0].sha256 == read_pack(packed)[0].sha256


def test_a_pack_that_says_the_same_is_left_alone_and_nothing_else_is_overwritten(tmp_path: Path, packed: Path) -> None:
    store = Store(tmp_path / "a" / "s.duckdb")
    before = packed.stat()
    pack_suite(store, "s", packed)
    assert packed.stat().st_mtime_ns == before.st_mtime_ns
    for name in ("s.duckdb", "prompts.jsonl"):
        data = (tmp_path / "a" / name).read_bytes()
        with pytest.raises(StoreError, match="is there already and no pack"):
            pack_suite(store, "s", tmp_path / "a" / name)
        assert (tmp_path / "a" / name).read_bytes() == data
    with pytest.raises(StoreError, match=r"cannot be written \(.+\); choose another path"):
        pack_suite(store, "s", tmp_path / "a" / "prompts.jsonl" / "p.rbpack")


def test_no_byte_can_be_changed_unseen(tmp_path: Path, packed: Path) -> None:
    data, whole = packed.read_bytes(), read_pack(packed)
    changed = tmp_path / "changed.rbpack"
    unseen = []
    # Every place is a third of a minute: of the cells every seventh, of what is said about them the last part whole.
    for place in sorted({*range(0, len(data), 7), *range(16), *range(len(data) - 300, len(data))}):
        changed.write_bytes(data[:place] + bytes([data[place] ^ 0x15]) + data[place + 1 :])
        try:
            info, table = read_pack(changed)
        except StoreError:
            continue
        # Parquet has fields that nobody reads, such as who wrote it.
        assert (info.sha256, table.to_pylist()) == (whole[0].sha256, whole[1].to_pylist())
        unseen.append(place)
    assert len(unseen) < len(data) / 20


def rewritten(packed: Path, **changes: Any) -> Path:
    table = parquet.read_table(packed)
    meta = json.loads(parquet.read_metadata(packed).metadata[b"routebench"])
    meta = {**meta, **changes.pop("meta", {})}
    for name, values in changes.items():
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    parquet.write_table(table.replace_schema_metadata({b"routebench": json.dumps(meta).encode()}), packed)
    return packed


@pytest.mark.parametrize(
    "changes",
    [
        {"score": [1.0] * 24},
        {"cost_usd": [0.0] * 24},
        {"latency_s": [1] * 24},
        {"model": ["big"] * 24},
        {"status": ["ok"] * 23 + ["error"]},
        {"meta": {"suite": "t"}},
        {"meta": {"models": []}},
        {"meta": {"sha256": "0" * 64}},
        {"meta": {"policies": [{"name": "mine", "policy_sha256": "0"}]}},
    ],
    ids=lambda changes: str(next(iter(changes.items())))[:20],
)
def test_tampering_is_told(packed: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="not what its digest says; it was changed: make it again"):
        read_pack(rewritten(packed, **changes))


def test_what_is_no_pack_or_newer_or_cut_short_is_told(tmp_path: Path, packed: Path) -> None:
    data = packed.read_bytes()
    with pytest.raises(StoreError, match="another version of routebench"):
        read_pack(rewritten(packed, meta={"schema": "routebench/pack/v2"}))
    for text in (b"", b"PAR1", b"hello", data[: len(data) // 2], data[:-1], data[1:]):
        packed.write_bytes(text)
        with pytest.raises(StoreError, match="not a pack, or damaged"):
            open_store(packed)
    parquet.write_table(pa.table({"a": [1]}), packed)
    with pytest.raises(StoreError, match="not a pack, or damaged"):
        open_store(packed)
    with pytest.raises(StoreError, match="no such file; `routebench pack` makes one"):
        open_store(tmp_path / "missing.rbpack")
    assert not is_pack(tmp_path / "a" / "s.duckdb")


def test_a_thousand_cases_of_eight_models_stay_small(tmp_path: Path) -> None:
    store = fill(tmp_path / "a", n=1000, models=[f"m{i}" for i in range(8)])
    pack_suite(store, "s", tmp_path / "p.rbpack")
    assert (tmp_path / "p.rbpack").stat().st_size < 300_000


def test_commands_that_read_take_a_pack_and_those_that_write_refuse_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = fill(tmp_path / "a", n=120)
    pack, suite = tmp_path / "p.rbpack", ["--suite", "s"]
    pack_suite(store, "s", pack)
    prompts, out = ["--prompts", str(tmp_path / "a" / "prompts.jsonl")], ["--out", str(tmp_path / "out.html")]
    (tmp_path / "prices.yaml").write_text("prices: {big: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}}\n")
    prices = ["--prices", str(tmp_path / "prices.yaml")]
    data = pack.read_bytes()
    figures = []
    for path in (tmp_path / "a" / "s.duckdb", pack):
        capsys.readouterr()
        assert main(["compare", "--store", str(path), *suite, *prompts, "--json"]) == 0
        figures.append(json.loads(capsys.readouterr().out))
    for one in figures:
        # Latencies are kept to a tenth of a millisecond.
        del one["strategies"]
    assert figures[0] == figures[1]
    assert main(["compare", "--store", str(pack), *suite]) == 0
    assert main(["report", "--store", str(pack), *suite, *out, "--share"]) == 0
    assert main(["tune", "--store", str(pack), *suite, *prompts, "--out", str(tmp_path / "rules.yaml")]) in (0, 1)
    assert main(["reprice", "--store", str(pack), *prices, "--what-if"]) == 0
    files = ["--outcomes", str(tmp_path / "a" / "outcomes.jsonl"), "--prompts", str(tmp_path / "a" / "prompts.jsonl")]
    renamed = tmp_path / "evidence.parquet"
    renamed.write_bytes(data)
    for path in (pack, renamed):
        for command in (
            ["import", "outcomes", *files, "--store", str(path), "--name", "s"],
            ["purge", "--store", str(path), "--case", "p0001"],
            ["pack", "--store", str(path), *suite, *out],
            ["reprice", "--store", str(path), *prices],
        ):
            capsys.readouterr()
            assert main(command) == 2
            told = capsys.readouterr().err
            assert "a pack is only read" in told
            assert told.count("\n") == 1
    assert pack.read_bytes() == renamed.read_bytes() == data


def test_a_bench_answers_everything_from_a_pack_and_buys_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(lambda _body, _number: chat_stream("an answer")) as server:
        config = write_bench(tmp_path, server)
        bench = Bench(config)
        bench.run().wait(20)
        whole = bench.outcomes()
        pack_suite(bench.store, "s", tmp_path / "p.rbpack")
        asked = len(server.requests)
        packed = Bench(config, store=tmp_path / "p.rbpack", environment={"ROUTEBENCH_CACHE": "only"})
        assert packed.run().wait(20).left == 0
        found = packed.outcomes()
        assert found.score.tolist() == whole.score.tolist()
        assert found.cost_usd.tolist() == whole.cost_usd.tolist()
        assert found.sha256() == whole.sha256()
        with pytest.raises(StoreError, match="a pack is only read; purging"):
            check_not_a_pack(packed.store, "purging")
        # A case that the pack does not know.
        with (tmp_path / "suite.jsonl").open("a") as file:
            file.write(json.dumps({"id": "new", "prompt": "q", "target": "a", "grader": "exact"}) + "\n")
        with pytest.raises(MissingCellsError):
            Bench(config, store=tmp_path / "p.rbpack", environment={"ROUTEBENCH_CACHE": "only"}).plan()
        assert main(["run", str(config), "--store", str(tmp_path / "p.rbpack")]) == 2
        assert "a pack is only read; a run that buys answers needs the store" in capsys.readouterr().err
        assert len(server.requests) == asked


def write_bench(folder: Path, server: Upstream) -> Path:
    rows = [{"id": f"c{i}", "prompt": f"question {i}", "target": "an answer", "grader": "exact"} for i in range(4)]
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    price = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}"
    (folder / "bench.yaml").write_text(
        f"""\
suite: {{path: suite.jsonl, name: s}}
store: s.duckdb
models:
  - {{name: m, provider: openai, base_url: "{server.url}", model: mock, params: {{max_tokens: 8}}, {price}}}
"""
    )
    return folder / "bench.yaml"
