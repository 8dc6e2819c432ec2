"""The soak itself, for some seconds: its checks hold, and it still fits the gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"


@pytest.mark.soak
def test_a_short_soak_passes() -> None:
    command = [sys.executable, str(SOAK), "--minutes", "0.2", "--rate", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert "traces complete to the row" in done.stdout
