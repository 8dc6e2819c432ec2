"""The parts of a message's content, and the addresses that a client may have a model's server look at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from routebench.gateway.refusal import wrong

KINDS = ("text", "refusal", "image_url", "input_audio", "file")
"""Types of content parts; each holds what it says under a key of the same name."""
_MOST_URL = 4096
_HOME = (".local", ".internal", ".localhost", ".lan", ".home.arpa")
_DATA = "an image as data:image/png;base64,…, or its public address with https://"


def check_part(place: str, part: Any, role: str) -> None:
    """Checks one part of a message's content.

    Raises:
        Refusal: it is none of the API, or names what only the gateway, or its provider's account, can see.
    """
    if not isinstance(part, dict):
        wrong(place, "an object with `type`, such as {type: text, text: …}", part)
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        wrong(f"{place}.type", f"one of {', '.join(KINDS)}", kind)
    if kind != "text" and role != "user" and not (kind == "refusal" and role == "assistant"):
        wrong(f"{place}.type", f"{role} messages hold text only", kind)
    said = part.get(kind)
    here = f"{place}.{kind}"
    if kind in ("text", "refusal"):
        if not isinstance(said, str):
            wrong(here, "a text", said)
    elif not isinstance(said, dict):
        wrong(here, "an object", said)
    else:
        _MEDIA[kind](here, said)


def _check_image(place: str, said: Mapping[str, Any]) -> None:
    url, place = said.get("url"), f"{place}.url"
    if not isinstance(url, str) or not url:
        wrong(place, _DATA, url)
    if url.startswith("data:"):
        head, comma, _ = url[5:512].partition(",")
        if not comma or not head.startswith("image/") or not head.endswith(";base64"):
            wrong(place, _DATA)
    elif len(url) > _MOST_URL or not _is_public(url):
        # The gateway fetches nothing, but a model's server may, and it sees addresses that the client does not.
        wrong(place, _DATA, url)


def _check_audio(place: str, said: Mapping[str, Any]) -> None:
    for key in ("data", "format"):
        if not isinstance(said.get(key), str):
            wrong(f"{place}.{key}", "a text", said.get(key))


def _check_file(place: str, said: Mapping[str, Any]) -> None:
    if said.get("file_id") is not None:
        # Files that lie with a provider lie there under the gateway's key, whosever they are.
        wrong(f"{place}.file_id", "files of the gateway's own account are not offered; send the content as `file_data`")
    data = said.get("file_data")
    if not isinstance(data, str) or not data.startswith("data:"):
        wrong(f"{place}.file_data", "the file's content as data:TYPE;base64,…", data)


_MEDIA = {"image_url": _check_image, "input_audio": _check_audio, "file": _check_file}


def _is_public(url: str) -> bool:
    try:
        address = urlsplit(url)
        host = address.hostname
    except ValueError:
        return False
    return address.scheme in ("http", "https") and "@" not in address.netloc and bool(host) and not is_home(host or "")


def is_home(host: str) -> bool:
    """Whether a host's name or address is one of this machine, or of a network that is not the internet."""
    host = host.rstrip(".").lower()
    if ("." not in host and ":" not in host) or host.endswith(_HOME):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # Numbers in another notation are addresses too, to whoever looks them up.
        return all(re.fullmatch(r"0x[0-9a-f]*|[0-9]+", piece) for piece in host.split("."))
