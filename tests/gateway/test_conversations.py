"""Conversations are known again by how they began and by the answer that they go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from routebench.errors import ConfigError
from routebench.gateway.conversations import Conversations, salt_of
from routebench.types import Completion, Message, ToolCall

ASKED: list[Message] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
SALT = b"0123456789abcdef"


def said(text: str, *tools: str) -> Completion:
    return Completion("ok", text=text, tool_calls=tuple(ToolCall("id", name, "{}") for name in tools))


def turn(text: str | None, *tools: str) -> Message:
    calls = [{"id": "other", "type": "function", "function": {"name": name, "arguments": "{ }"}} for name in tools]
    return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}


@pytest.mark.parametrize(
    ("completion", "sent_back"),
    [
        (said("hello"), turn("hello")),
        (said("hello "), turn("hello")),
        (said("hello"), {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}),
        (said("", "weather"), turn(None, "weather")),
    ],
)
def test_the_turn_after_an_answer_is_with_the_model_that_gave_it(completion: Completion, sent_back: Message) -> None:
    known = Conversations(SALT)
    opening = known.opened(ASKED)
    known.answered(opening, "large", completion)
    again = [*ASKED, sent_back, {"role": "user", "content": "and then?"}]
    assert known.previous(known.opened(again), again) == "large"
    assert known.opened(again).name == opening.name


def test_another_beginning_or_another_answer_is_another_conversation() -> None:
    known = Conversations(SALT)
    known.answered(known.opened(ASKED), "large", said("hello"))
    for other in (
        [*ASKED, turn("good day"), {"role": "user", "content": "x"}],
        [*ASKED, turn("hello", "weather"), {"role": "user", "content": "x"}],
        [{"role": "user", "content": "hi"}, turn("hello"), {"role": "user", "content": "x"}],
        ASKED,
    ):
        assert known.previous(known.opened(other), other) is None


def test_nobody_goes_on_with_a_conversation_of_somebody_else() -> None:
    known = Conversations(SALT)
    mine, yours = known.opened(ASKED, "me"), known.opened(ASKED, "you")
    known.answered(mine, "large", said("hello"))
    again = [*ASKED, turn("hello")]
    assert mine.name != yours.name
    assert known.previous(known.opened(again, "me"), again) == "large"
    assert known.previous(known.opened(again, "you"), again) is None


def test_the_latest_are_remembered_and_no_more_than_so_many() -> None:
    known = Conversations(SALT, most=10)

    def asked(number: int) -> list[Message]:
        return [{"role": "user", "content": str(number)}, turn("yes"), {"role": "user", "content": "x"}]

    for number in range(100):
        known.answered(known.opened(asked(number)), f"m{number}", said("yes"))
    found = [known.previous(known.opened(asked(number)), asked(number)) for number in range(100)]
    assert found[-5:] == [f"m{number}" for number in range(95, 100)]
    assert found[:89] == [None] * 89


def test_names_of_conversations_say_nothing_without_the_salt() -> None:
    assert Conversations(SALT).opened(ASKED).name != Conversations(b"x" * 16).opened(ASKED).name


def test_a_folder_keeps_its_salt(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    assert salt_of(folder, SALT) == SALT
    assert salt_of(folder, b"another") == SALT
    assert [path.name for path in folder.iterdir()] == ["salt"]
    assert (folder / "salt").stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="give a folder for traces that can be written"):
        salt_of(tmp_path / "file" / "traces", SALT)
