"""The report: one page that holds everything it shows and draws with no network."""

from __future__ import annotations

from routebench.report.cases import sentence
from routebench.report.render import write_report

__all__ = ["sentence", "write_report"]
