from __future__ import annotations

from pathlib import Path

import pytest

from routebench.errors import MissingDependencyError, ProviderError
from routebench.export.portkey import PORTKEY
from tests.export.policies import support


def test_a_gateway_that_is_not_installed_is_named_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="npm install @portkey-ai/gateway"):
        PORTKEY.verify(PORTKEY.export(support()), support(), [], product=tmp_path / "start-server.js")


def test_a_gateway_that_does_not_start_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In place of node, which this machine may not have.
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho cannot find module hono\nexit 3\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "start-server.js"
    program.touch()
    with pytest.raises(ProviderError, match="cannot find module hono"):
        PORTKEY.verify(PORTKEY.export(support()), support(), [], product=program)
