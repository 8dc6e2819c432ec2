"""Packs: the outcomes of one suite without any text, as one canonical Parquet file that is small enough to commit.

A row is a cell; labels of its case stand beside it. Equal outcomes give equal bytes: rows are sorted, nothing tells
when or where the file was made, and a pack that says the same already is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from routebench.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".rbpack"
SCHEMA = "routebench/pack/v1"
_MAGIC = b"PAR1"
_META = b"routebench"
_LATENCY_STEPS_PER_S = 10_000
"""Times are kept to a tenth of a millisecond: more digits are noise, and noise does not compress."""
_WITHHELD = ("system", "few_shot")
"""Settings of a model that are texts."""
_LABELS = ("case_id", "content_hash", "grader", "category", "tags", "group_key", "weight", "stakes_usd", "split")
_TIMES = ("latency_s", "ttft_s")


RecordedVerdict = Literal["accepted", "stands", "refused", "untold"]
"""What a check says of an answer: it passes; it does not, but stands where nothing better comes; it does not, and never
stands; nobody knows, or no request comes to it."""
_VERDICTS: tuple[RecordedVerdict, ...] = get_args(RecordedVerdict)


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """What a rule set decides in some situation, such as at night.

    Attributes:
        share: of all requests.
        chains: case id -> the models in the order in which they are tried.
        verdicts: (case id, model, sample) -> what the case's check says of that answer; nothing of cases that have no
            check, nor of cells that were never bought.
    """

    share: float
    chains: Mapping[str, Sequence[str]]
    verdicts: Mapping[tuple[str, str, int], RecordedVerdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """What a rule set decided for every case when the pack was made, so that it can be measured without a text.

    Attributes:
        name: of the rule set.
        policy_sha256: of what decides in it; another rule set cannot be measured by these decisions.
        parts: one for every situation in which it decides otherwise; their shares sum to one.
    """

    name: str
    policy_sha256: str
    parts: Sequence[RecordedPart]


@dataclass(frozen=True, slots=True)
class PackInfo:
    """What a pack says of itself.

    Attributes:
        path: the file.
        suite: the name of the suite in it.
        sha256: of its content.
        models: rows of table `models`, without system prompts and demonstrations.
        withheld: names of models that have such texts.
        policies: decisions that were recorded with it.
    """

    path: Path
    suite: str
    sha256: str
    models: Sequence[Mapping[str, Any]]
    withheld: tuple[str, ...] = ()
    policies: Sequence[RecordedPolicy] = field(default=())


def is_pack(path: str | Path) -> bool:
    """Whether a file is a pack, by its name or its first bytes."""
    path = Path(path)
    return path.suffix == SUFFIX or _is_parquet(path)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _MAGIC
    except OSError:
        return False


def model_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows of table `models` as a pack holds them: without texts, and without when they were registered."""
    kept = []
    for row in rows:
        settings = json.loads(row["settings"] or "{}")
        withheld = [name for name in _WITHHELD if settings.pop(name, None)]
        kept.append(
            {
                "model_key": row["model_key"],
                "name": row["name"],
                "provider": row["provider"],
                "model_id": row["model_id"],
                "params": json.loads(row["params"] or "{}"),
                "price": json.loads(row["price"]) if row["price"] else None,
                "price_source": row["price_source"],
                "price_date": None if row["price_date"] is None else row["price_date"].isoformat(),
                "settings": settings,
                **({"withheld": withheld} if withheld else {}),
            }
        )
    return kept


def write_pack(
    path: Path,
    suite: str,
    cells: pa.Table,
    models: Sequence[Mapping[str, Any]],
    policies: Sequence[RecordedPolicy] = (),
) -> PackInfo:
    """Writes a pack, unless the file holds the same already.

    Args:
        path: of the file.
        suite: its name.
        cells: one row a cell, of the query in `packed.py`.
        models: of `model_rows`.
        policies: decisions to record.

    Raises:
        StoreError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    columns: dict[str, Any] = {}
    for name in cells.column_names:
        column = cells.column(name).combine_chunks()
        if name in _TIMES:
            steps = pc.round(pc.multiply(column, float(_LATENCY_STEPS_PER_S)))
            column = steps.cast(pa.int64())
        columns[name] = column
    table = pa.table(columns)
    chains = sorted({tuple(chain) for policy in policies for part in policy.parts for chain in part.chains.values()})
    for number, policy in enumerate(policies):
        for place, part in enumerate(policy.parts):
            table = _with_decisions(table, _column(number, place), part, chains)
    about = {
        "schema": SCHEMA,
        "suite": suite,
        "models": list(models),
        "chains": [list(chain) for chain in chains],
        "policies": [_policy_row(policy) for policy in policies],
    }
    if path.exists() and not (path.is_file() and _is_parquet(path)):
        raise StoreError(f"{path}: is there already and no pack; it is left as it is: choose another path")
    sha256 = _digest(table, about)
    info = PackInfo(path, suite, sha256, models, _withheld(models), policies)
    if path.is_file() and _said_sha256(path) == sha256:
        return info
    meta = json.dumps({**about, "sha256": sha256}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    table = table.replace_schema_metadata(None)
    how = {"compression": "zstd", "compression_level": 19, "write_statistics": False, "store_schema": False}
    # Beside it first: what breaks off leaves the older pack.
    begun = path.with_name(f".{path.name}.begun")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetWriter(begun, table.schema, **how) as writer:
            writer.write_table(table, row_group_size=1 << 20)
            writer.add_key_value_metadata({_META: meta.encode()})
        begun.replace(path)
    except OSError as error:
        with suppress(OSError):
            begun.unlink()
        raise StoreError(
            f"{path}: the pack cannot be written ({error.strerror or error}); choose another path"
        ) from None
    return info


def _policy_row(policy: RecordedPolicy) -> dict[str, Any]:
    shares = [part.share for part in policy.parts]
    told = {"name": policy.name, "policy_sha256": policy.policy_sha256}
    return told if len(shares) == 1 else {**told, "shares": shares}


def _column(number: int, place: int) -> str:
    """How the columns of a policy's part end."""
    return f"{number}_{place}" if place else f"{number}"


def _with_decisions(table: pa.Table, name: str, part: RecordedPart, chains: Sequence[tuple[str, ...]]) -> pa.Table:
    """Adds the columns of one part: the place of each case's chain, and where answers are checked the verdicts."""
    import pyarrow as pa

    places = {chain: place for place, chain in enumerate(chains)}
    cells = list(zip(*(table.column(column).to_pylist() for column in ("case_id", "model", "sample")), strict=True))
    decided = [places[tuple(part.chains[case_id])] for case_id, _, _ in cells]
    table = table.append_column(f"decision_{name}", pa.array(decided, pa.int32()))
    if not part.verdicts:
        return table
    told = [None if (found := part.verdicts.get(cell)) is None else _VERDICTS.index(found) for cell in cells]
    return table.append_column(f"verdict_{name}", pa.array(told, pa.int8()))


def read_pack(path: str | Path) -> tuple[PackInfo, pa.Table]:
    """Reads a pack: what it says of itself, and its cells with times in seconds.

    Raises:
        StoreError: there is no such file, it is no pack, a newer version wrote it, or it was changed since.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    path = Path(path)
    if not path.is_file():
        raise StoreError(f"pack {path}: no such file; `routebench pack` makes one")
    try:
        with parquet.ParquetFile(path) as file:
            meta = dict(json.loads((file.metadata.metadata or {})[_META]))
            table = file.read()
    except (OSError, ValueError, TypeError, KeyError, MemoryError, pa.ArrowException):
        raise StoreError(f"{path}: not a pack, or damaged; `routebench pack` makes one") from None
    if meta.get("schema") != SCHEMA:
        raise StoreError(
            f"pack {path}: written by another version of routebench ({meta.get('schema')}, this one reads {SCHEMA}); "
            "upgrade: pip install -U 'routebench[lab]'"
        )
    about = {name: value for name, value in meta.items() if name != "sha256"}
    if _digest(table, about) != meta.get("sha256"):
        raise StoreError(f"pack {path}: its content is not what its digest says; it was changed: make it again")
    policies = [_policy(told, number, table, meta["chains"]) for number, told in enumerate(meta["policies"])]
    for name in _TIMES:
        at = table.column_names.index(name)
        seconds = pc.divide(table.column(name).cast(pa.float64()), float(_LATENCY_STEPS_PER_S))
        table = table.set_column(at, name, seconds)
    models = meta["models"]
    return PackInfo(path, meta["suite"], meta["sha256"], models, _withheld(models), policies), table


def _policy(told: Mapping[str, Any], number: int, table: pa.Table, chains: Sequence[Sequence[str]]) -> RecordedPolicy:
    cells = list(zip(*(table.column(column).to_pylist() for column in ("case_id", "model", "sample")), strict=True))
    parts = []
    for place, share in enumerate(told.get("shares") or [1.0]):
        name = _column(number, place)
        decided = table.column(f"decision_{name}").to_pylist()
        verdicts: dict[tuple[str, str, int], RecordedVerdict] = {}
        if f"verdict_{name}" in table.column_names:
            said = zip(cells, table.column(f"verdict_{name}").to_pylist(), strict=True)
            verdicts = {cell: _VERDICTS[code] for cell, code in said if code is not None}
        of_case = {cell[0]: tuple(chains[at]) for cell, at in zip(cells, decided, strict=True)}
        parts.append(RecordedPart(share, of_case, verdicts))
    return RecordedPolicy(told["name"], told["policy_sha256"], parts)


def _withheld(models: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(row["name"] for row in models if row.get("withheld"))


def _said_sha256(path: Path) -> str | None:
    try:
        return read_pack(path)[0].sha256
    except StoreError:
        return None


def _digest(table: pa.Table, about: Mapping[str, Any]) -> str:
    """Of what stands in a pack, not of how Parquet writes it: another version of the library changes nothing."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, ensure_ascii=False).encode())
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        digest.update(f"\x00{name}\x00{len(column)}\x00".encode())
        values = column.to_pylist()
        digest.update(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode())
    return digest.hexdigest()
