"""Texts as directions: what is alike in meaning lies close together."""

from __future__ import annotations

from routebench.embedding.embedder import Embedder, find_embedder, unit_rows
from routebench.embedding.kept import Kept
from routebench.embedding.minilm import MiniLM
from routebench.embedding.wordpiece import WordPieces

__all__ = ["Embedder", "Kept", "MiniLM", "WordPieces", "find_embedder", "unit_rows"]
