"""The built wheel, as users install it: the light base, and the workbench beside a JupyterLab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead
from routebench.rules.learned.surface import SURFACE

ROOT = Path(__file__).resolve().parents[1]
# Some 70 MB of it are numpy's.
MAX_BASE_MB = 120

pytestmark = pytest.mark.wheel


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}, **environment},
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", out, cwd=ROOT)
    (built,) = out.glob("routebench-*.whl")
    return built


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    call(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin" / "python"
    # Wheels only: a machine without a compiler must do.
    call(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel, cwd=folder)
    return python


RULES = """\
schema: routebench/rules/v1
name: tiny
models:
  small: {provider: openai, model: small}
  large: {provider: openai, model: large}
rules:
  - {name: law, when: {any_keyword: [contract]}, route: [large, small]}
default: {route: [small, large]}
"""


def test_the_base_install_routes_and_stays_small(base: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    code = (
        "from routebench.rules import Router\n"
        "router = Router.load('rules.yaml')\n"
        "print(router.route([{'role': 'user', 'content': 'Review this contract.'}]).chain)\n"
    )
    assert call(base, "-c", code, cwd=tmp_path) == "('large', 'small')\n"
    assert "rule law" in call(base, "-m", "routebench", "explain", "rules.yaml", "--prompt", "a contract", cwd=tmp_path)
    site = Path(call(base, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    own = [
        path for path in site.iterdir() if path.name.partition("-")[0] not in ("pip", "setuptools", "_distutils_hack")
    ]
    size = sum(
        file.stat().st_size
        for part in own
        for file in ([part] if part.is_file() else part.rglob("*"))
        if file.is_file()
    )
    assert size < MAX_BASE_MB * 1e6


def test_the_base_install_routes_by_what_was_learned(base: Path, tmp_path: Path) -> None:
    spec = FeatureSpec(hashed_words=0)
    weights = np.zeros((1, spec.width))
    weights[0, SURFACE.index("is_question")] = 8
    digest = LinearHead(weights, np.array([-4.0]), spec).save(tmp_path / "learned.safetensors")
    said = (
        f"complexity:\n  classifier: {{kind: logistic, artifact: learned.safetensors, sha256: '{digest}'}}\n"
        "  tiers: [{below: 0.5, route: [small, large]}, {route: [large, small]}]\n"
    )
    (tmp_path / "rules.yaml").write_text(RULES + said)
    for prompt, model in (("Hello.", "small"), ("Why?", "large")):
        code = (
            "from routebench.rules import Router\n"
            f"print(Router.load('rules.yaml').route([{{'role': 'user', 'content': {prompt!r}}}]).chain[0])\n"
        )
        assert call(base, "-c", code, cwd=tmp_path) == f"{model}\n"


def test_a_command_of_the_workbench_names_what_to_install(base: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [base, "-m", "routebench", "compare", "--store", "s.duckdb", "--suite", "s"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'routebench[lab]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gateway_serves_with_its_extra_alone(wheel: Path, tmp_path: Path) -> None:
    call(sys.executable, "-m", "venv", tmp_path / "gateway", cwd=tmp_path)
    python = tmp_path / "gateway" / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", f"{wheel}[gateway]", cwd=tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    code = (
        "import json, urllib.request\n"
        "from routebench.gateway import Gateway\n"
        "with Gateway('rules.yaml', port=0, look=lambda name: 'sk-of-a-provider') as gateway:\n"
        "    with urllib.request.urlopen(gateway.url + '/models') as answer:\n"
        "        print([one['id'] for one in json.load(answer)['data']])\n"
    )
    assert call(python, "-c", code, cwd=tmp_path) == "['routebench/auto', 'small', 'large']\n"


def test_the_workbench_installs_beside_a_jupyterlab_and_its_demo_opens(wheel: Path, tmp_path: Path) -> None:
    call(sys.executable, "-m", "venv", tmp_path / "lab", cwd=tmp_path)
    python = tmp_path / "lab" / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "jupyterlab", cwd=tmp_path)
    call(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", f"{wheel}[lab]", cwd=tmp_path)
    code = "import routebench as rb; panel = rb.demo(); print(panel.result.suite, panel.numbers()[0].html()[:9])"
    assert call(python, "-c", code, cwd=tmp_path).startswith("starter <")
