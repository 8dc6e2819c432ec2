from __future__ import annotations

import sys
from pathlib import Path

import pytest

from routebench.errors import MissingDependencyError, ProviderError
from routebench.export.openrouter import OPENROUTER
from tests.export.policies import support


def test_an_sdk_that_is_not_installed_is_named_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="pip install openrouter"):
        OPENROUTER.verify(OPENROUTER.export(support()), support(), [], product=tmp_path / "python")


def test_a_python_without_the_sdk_is_told() -> None:
    with pytest.raises(ProviderError, match="No module named 'openrouter'"):
        OPENROUTER.verify(OPENROUTER.export(support()), support(), [], product=Path(sys.executable))
