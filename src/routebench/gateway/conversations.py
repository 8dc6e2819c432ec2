"""Which model a conversation is with: known by what it began with and by the answer that it goes on from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from routebench.errors import ConfigError
from routebench.gateway.encoding import encoded
from routebench.types import Completion, Message

_MOST = 100_000
_SALT_BYTES = 16


class Conversations:
    """The latest answers of this gateway, so that the turn that follows is known to belong to the same conversation.

    No text is kept: what is looked up by is a salted digest. A conversation that another gateway began, or this one
    before it was started anew, is decided like one that begins, unless the client tells the model itself.

    Args:
        salt: makes digests of short texts say nothing to who does not have it.
        most: answers that are remembered, the latest; half as many at least.
    """

    def __init__(self, salt: bytes, *, most: int = _MOST) -> None:
        self._salt = salt
        self._most = most
        # Two halves, of which the older one is let go whole: an order of single entries takes twice the memory.
        self._latest: dict[int, str] = {}
        self._earlier: dict[int, str] = {}

    def opened(self, messages: Sequence[Message], client: str | None = None) -> Opening:
        """Returns what all turns of a conversation have in common: its messages up to the first of the user.

        Args:
            messages: of a turn.
            client: whose it is; nobody goes on with a conversation of somebody else's.
        """
        head: list[Any] = [client]
        for message in messages:
            head.append([message.get("role"), message.get("content")])
            if message.get("role") == "user":
                break
        return Opening(hashlib.blake2b(encoded(head), digest_size=_SALT_BYTES, key=self._salt))

    def previous(self, opening: Opening, messages: Sequence[Message]) -> str | None:
        """Returns the model that gave the latest answer in a conversation; None at its beginning, or while unknown."""
        latest = next((one for one in reversed(messages) if one.get("role") == "assistant"), None)
        if latest is None:
            return None
        key = opening.followed_by(*_said(latest))
        return self._latest.get(key) or self._earlier.get(key)

    def answered(self, opening: Opening, model: str, completion: Completion) -> None:
        """Remembers which model answered a conversation."""
        key = opening.followed_by(completion.text or "", [call.name for call in completion.tool_calls])
        self._latest[key] = model
        if len(self._latest) > self._most // 2:
            self._earlier, self._latest = self._latest, {}


class Opening:
    """How a conversation began, as a digest."""

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    @property
    def name(self) -> str:
        """Names the conversation."""
        return str(self._digest.hexdigest())

    def followed_by(self, text: str, tools: Sequence[Any]) -> int:
        """A digest of the beginning and of a later answer.

        Ids of tool calls are made where a provider gives none, and clients write arguments anew: names tell enough.
        """
        found = self._digest.copy()
        found.update(encoded([text.strip(), list(tools)]))
        return int.from_bytes(found.digest()[:8], "big")


def _said(message: Message) -> tuple[str, list[Any]]:
    """The text of an answer as a client sends it back, and the names of the tools that it calls."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    calls = message.get("tool_calls") or ()
    return str(content or ""), [(call.get("function") or {}).get("name") for call in calls]


def salt_of(folder: Path, fresh: bytes) -> bytes:
    """Returns the salt of a folder of traces, so that conversations keep their names over a restart.

    Args:
        folder: where it is kept, or will be.
        fresh: random bytes, used where there is none yet.

    Raises:
        ConfigError: it cannot be read or written.
    """
    path = folder / "salt"
    try:
        # Whoever else may use the machine has no business with what people asked.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written whole before it has its name: another gateway that starts at the same moment never reads half of it.
        beside = folder / f".salt-{fresh.hex()[:8]}"
        beside.touch(mode=0o600)
        beside.write_bytes(fresh)
        try:
            os.link(beside, path)
        except FileExistsError:
            fresh = path.read_bytes()
        finally:
            beside.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give a folder for traces that can be written") from None
    return fresh
