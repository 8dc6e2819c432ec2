"""Keeping secrets and personal data out of everything that is written."""

from __future__ import annotations

from routebench.redact.personal import Redactor, load_redactor
from routebench.redact.privacy import FULL, Privacy, TextMode
from routebench.redact.secrets import Secrets

__all__ = ["FULL", "Privacy", "Redactor", "Secrets", "TextMode", "load_redactor"]
