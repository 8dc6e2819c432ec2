"""JSON files of any size, one record at a time: JSON Lines, an array, or an object that holds one; plain or gzipped."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from routebench.errors import OutcomesError

_CHUNK = 1 << 18
_MOST = 256 << 20
"""A single record longer than this many characters is taken for a broken file."""
_MOST_AFTER_CUT = 3
"""A number that is cut off amid its fraction or exponent has fewer characters than this behind its valid part."""
_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Lends a file for reading bytes, unpacked where it is gzipped.

    Raises:
        OutcomesError: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as file:
                    yield file  # type: ignore[misc]  # a GzipFile is read like any file of bytes
            else:
                yield raw
    except FileNotFoundError:
        raise OutcomesError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise OutcomesError(f"{path}: cannot be read ({error}); is the file whole?") from None


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file that are not blank, with their numbers from 1; only a line feed ends a line.

    Raises:
        OutcomesError: it cannot be read.
    """
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not text.isspace():
                yield number, text


def parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Returns the object that a line holds.

    Raises:
        OutcomesError: it is no JSON object, or no UTF-8; the line is named.
    """
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise OutcomesError(f"{path}:{number}: {_not_utf8(error)}") from None
    except RecursionError:
        raise OutcomesError(f"{path}:{number}: nested too deeply; drop the line") from None
    except json.JSONDecodeError as error:
        cut = "; the line seems to be cut off" if not line.endswith(b"\n") else ""
        raise OutcomesError(
            f"{path}:{number}: not valid JSON ({error.msg} at column {error.colno}){cut}; mend or drop the line"
        ) from None
    if not isinstance(record, dict):
        raise OutcomesError(f"{path}:{number}: a line holds a JSON object, got {type(record).__name__}")
    return record


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of JSON Lines with the numbers of their lines.

    Raises:
        OutcomesError: a line is no JSON object; it is named.
    """
    for number, line in lines(path):
        yield number, parse_line(path, number, line)


def is_json_lines(path: Path) -> bool:
    """Whether the first line that is not blank holds a whole JSON object; else the file is one JSON document.

    Raises:
        OutcomesError: it cannot be read, or is empty.
    """
    for _, line in lines(path):
        try:
            return isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            return False
    raise OutcomesError(f"{path}: the file is empty")


def json_array(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of a JSON array with their numbers from 1; the array never stands in memory whole.

    Raises:
        OutcomesError: the file is no array of objects; the record is named.
    """
    with opened(path) as file:
        text = _Text(path, file)
        if text.skip_space() != "[":
            raise OutcomesError(f"{path}: expected a JSON array, that is a file that begins with [")
        yield from _elements(text, path)


def json_members(path: Path, array: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
    """Yields the members of a JSON object, and one at a time the objects of an array inside it that may be large.

    Args:
        path: the file.
        array: the keys that lead to the array, such as `("results", "results")`; on the way to it the members beside
            it are yielded too. An array that stands nearer to the top under these keys is taken as well.

    Yields:
        The member's keys joined by dots, 0, and its value; for objects of the array its keys, their numbers from 1,
        and the objects.

    Raises:
        OutcomesError: the file holds no object, or cannot be parsed.
    """
    with opened(path) as file:
        text = _Text(path, file)
        if text.skip_space() != "{":
            raise OutcomesError(f"{path}: expected a JSON object, that is a file that begins with {{")
        yield from _members(text, path, "", tuple(array))


def json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of JSON Lines, or of a JSON array, with the numbers of their lines or records.

    Raises:
        OutcomesError: the file is neither; the line or record is named.
    """
    yield from json_lines(path) if is_json_lines(path) else json_array(path)


def json_document(path: Path) -> Any:
    """Returns a small JSON file whole.

    Raises:
        OutcomesError: it is no JSON.
    """
    with opened(path) as file:
        data = file.read()
    try:
        return json.loads(data.removeprefix(codecs.BOM_UTF8))
    except UnicodeDecodeError as error:
        raise OutcomesError(f"{path}: {_not_utf8(error)}") from None
    except RecursionError:
        raise OutcomesError(f"{path}: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise OutcomesError(f"{path}:{error.lineno}: not valid JSON ({error.msg} at column {error.colno})") from None


class _Text:
    """A file's text, of which only the part that is being read is in memory."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""
        self._ended = False

    def skip_space(self) -> str:
        """Drops white space and returns the next sign.

        Raises:
            OutcomesError: the file ends.
        """
        while True:
            self._rest = self._rest.lstrip()
            if self._rest:
                return self._rest[0]
            if not self._more():
                raise OutcomesError(f"{self._path}: the file is cut off: its JSON does not end")

    def drop(self, count: int) -> None:
        self._rest = self._rest[count:]

    def decode(self, decoder: json.JSONDecoder, what: str) -> Any:
        """Returns the next value; `what` names it in errors."""
        while True:
            try:
                value, end = decoder.raw_decode(self._rest)
            except RecursionError:
                raise OutcomesError(f"{self._path}: {what}: nested too deeply") from None
            except json.JSONDecodeError as error:
                # A mistake well before the end of what was read is none of reading too little.
                early = error.pos < len(self._rest) - _CHUNK and not error.msg.startswith("Unterminated")
                if early or len(self._rest) > _MOST or not self._more(len(self._rest)):
                    raise OutcomesError(
                        f"{self._path}: {what}: not valid JSON, or cut off ({error.msg}); mend the file"
                    ) from None
            else:
                # What was read may end amid a number, such as 1.5e3 after its 1.
                if isinstance(value, (int, float)) and len(self._rest) - end < _MOST_AFTER_CUT and self._more():
                    continue
                self._rest = self._rest[end:]
                return value

    def _more(self, at_least: int = 0) -> bool:
        """Reads on, and as much again as there is: whatever a record's length, it is begun few times."""
        if self._ended:
            return False
        data = self._file.read(max(_CHUNK, at_least))
        self._ended = not data
        try:
            self._rest += self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise OutcomesError(f"{self._path}: {_not_utf8(error)}") from None
        return bool(data)


def _elements(text: _Text, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of the array that comes next."""
    decoder = json.JSONDecoder()
    text.drop(1)
    number = 0
    while (sign := text.skip_space()) != "]":
        if number:
            if sign != ",":
                raise OutcomesError(f"{path}: record {number + 1}: expected a comma before it, got {sign!r}")
            text.drop(1)
            text.skip_space()
        number += 1
        record = text.decode(decoder, f"record {number}")
        if not isinstance(record, dict):
            raise OutcomesError(f"{path}: record {number}: expected a JSON object, got {type(record).__name__}")
        yield number, record
    text.drop(1)


def _members(text: _Text, path: Path, prefix: str, array: tuple[str, ...]) -> Iterator[tuple[str, int, Any]]:
    """The members of the object that comes next."""
    decoder = json.JSONDecoder()
    text.drop(1)
    first = True
    while (sign := text.skip_space()) != "}":
        if not first:
            if sign != ",":
                raise OutcomesError(
                    f"{path}: expected a comma before a member of {prefix or 'the object'}, got {sign!r}"
                )
            text.drop(1)
            text.skip_space()
        first = False
        key = text.decode(decoder, f"a key of {prefix or 'the object'}")
        name = f"{prefix}.{key}" if prefix else str(key)
        if not isinstance(key, str) or text.skip_space() != ":":
            raise OutcomesError(f"{path}: expected a key and a colon at {name!r}; mend the file")
        text.drop(1)
        opening = text.skip_space()
        if array and key == array[0] and opening == "[":
            yield from ((name, number, record) for number, record in _elements(text, path))
        elif len(array) > 1 and key == array[0] and opening == "{":
            yield from _members(text, path, name, array[1:])
        else:
            yield name, 0, text.decode(decoder, f"{name!r}")
    text.drop(1)


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"not UTF-8 (byte {error.start}: {error.object[error.start]:#04x}); save the whole file as UTF-8"
