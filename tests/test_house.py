"""The walls of the house: which room may know which."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import routebench

PACKAGE = Path(routebench.__file__).parent

TIERS: tuple[frozenset[str], ...] = (
    frozenset({"types", "errors"}),
    frozenset({"classes", "messages", "redact", "yaml_source"}),
    frozenset({"pricing", "config", "embedding", "traces"}),
    frozenset({"suites", "providers", "store", "rules"}),
    frozenset({"run"}),
    frozenset({"grade"}),
    frozenset({"evaluate"}),
    frozenset({"strategies"}),
    frozenset({"simulation", "tune"}),
    frozenset({"matrix"}),
    frozenset({"auditing", "bench", "diffing", "importing", "packing", "repricing", "traffic"}),
    frozenset({"checking"}),
    frozenset({"drifting", "export", "gateway", "learning"}),
    frozenset({"dash"}),
    frozenset({"report"}),
    frozenset({"demonstration"}),
    frozenset({"serving"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
TIER = {room: number for number, rooms in enumerate(TIERS) for room in rooms}

ONLY_IN = {
    "duckdb": {"store"},
    "httpx": {"providers"},
    "pyreqwest": {"providers"},
    "genai_prices": {"pricing"},
    "ipywidgets": {"dash"},
    "anywidget": {"dash"},
    "altair": {"dash"},
    "jupyter_server": {"serving"},
    "tornado": {"serving"},
    "voila": {"serving"},
    "xllamacpp": {"providers"},
    "uvicorn": {"gateway"},
    "prometheus_client": {"gateway"},
    "opentelemetry": {"traces"},
}


def imports(path: Path) -> set[str]:
    """Every absolute module name that a file imports, at the top or late."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room is meant"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files() -> list[tuple[str, Path]]:
    result = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = parts[0]
        if room not in ("__init__", "_demo"):
            result.append((room, path))
    return result


def test_every_room_has_a_tier() -> None:
    assert {room for room, _ in files()} == set(TIER)


@pytest.mark.parametrize(
    ("room", "path"), files(), ids=lambda value: str(value) if isinstance(value, str) else value.stem
)
def test_imports_point_one_way(room: str, path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "routebench" or len(parts) < 2 or parts[1] not in TIER:
            continue
        other = parts[1]
        if other != room:
            assert TIER[other] < TIER[room], f"{room} may not import {other} ({path.name}: {name})"


@pytest.mark.parametrize(
    ("room", "path"), files(), ids=lambda value: str(value) if isinstance(value, str) else value.stem
)
def test_libraries_stay_in_their_rooms(room: str, path: Path) -> None:
    for name in imports(path):
        owner = ONLY_IN.get(name.split(".")[0])
        assert owner is None or room in owner, f"{name} belongs to {owner}, not to {room}"


PANELS = frozenset({"browsing", "comparing", "grading", "production", "today", "tuning", "watching"})


def test_the_parts_of_panels_know_nothing_of_routing() -> None:
    for path in (PACKAGE / "dash" / "parts").glob("*.py"):
        told = {name for name in imports(path) if name.startswith("routebench.")}
        assert not {name for name in told if not name.startswith("routebench.dash.parts")}, path.name


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_panels_do_not_know_each_other(panel: str) -> None:
    for path in (PACKAGE / "dash" / panel).glob("*.py"):
        rooms = {name.split(".")[2] for name in imports(path) if name.startswith("routebench.dash.")}
        assert not rooms & (PANELS | {"cockpit"}) - {panel}, path.name


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_what_a_panel_knows_needs_no_widget(panel: str) -> None:
    state = PACKAGE / "dash" / panel / "state.py"
    assert not {name.split(".")[0] for name in imports(state)} & {"ipywidgets", "anywidget", "altair", "IPython"}


def test_evaluation_touches_no_disk_clock_or_network() -> None:
    for room, path in files():
        if room == "evaluate":
            outside = {name.split(".")[0] for name in imports(path)} & {
                "os",
                "pathlib",
                "time",
                "datetime",
                "socket",
                "io",
            }
            assert not outside, f"{path.name} imports {outside}"


def test_public_names_are_explicit_sorted_and_there() -> None:
    names = routebench.__all__
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name)) or list(
        names
    ) == sorted(names)
    for name in names:
        assert getattr(routebench, name) is not None
    submodules = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}
    assert not submodules & set(names), "a public name that is a submodule's too is two things"
    assert set(names) <= set(dir(routebench))


@pytest.mark.parametrize(
    "room", ["suites", "providers", "store", "rules", "run", "grade", "evaluate", "strategies", "tune", "dash"]
)
def test_rooms_say_what_they_offer(room: str) -> None:
    module = importlib.import_module(f"routebench.{room}")
    assert list(module.__all__) == sorted(
        module.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in module.__all__:
        assert hasattr(module, name)


def loaded_after(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_rules_room_is_light() -> None:
    heavy = {"numpy", "pandas", "httpx", "duckdb", "altair", "ipywidgets", "sklearn", "scipy", "rich", "jsonschema"}
    assert not loaded_after("import routebench.rules") & heavy


def test_evaluation_needs_neither_a_store_nor_a_client() -> None:
    assert not loaded_after("import routebench.evaluate") & {"duckdb", "httpx", "pydantic", "altair", "ipywidgets"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import routebench") & {"numpy", "pandas", "duckdb", "altair", "ipywidgets", "pydantic"}
