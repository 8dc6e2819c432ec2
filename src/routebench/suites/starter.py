"""The suite that comes with the package: public, written for it, small models differ on it."""

from __future__ import annotations

from importlib.resources import as_file, files

from routebench.suites.loaders import load_suite
from routebench.suites.suite import Suite

DEMO = files("routebench._demo")
"""The folder of package data that the demonstration is made of."""


def load_starter() -> Suite:
    """Returns the packaged suite."""
    with as_file(DEMO / "starter.jsonl") as path:
        return load_suite(path)
