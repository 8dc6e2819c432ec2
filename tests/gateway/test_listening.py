from __future__ import annotations

from pathlib import Path

import pytest

from routebench.errors import ConfigError
from routebench.gateway.keys import Key, digest_of
from routebench.gateway.listening import check_listening, check_visitor, listening
from routebench.gateway.refusal import Refusal
from routebench.gateway.settings import GatewayConfig

KEYS = GatewayConfig(path=Path("gateway.yaml"), keys=(Key("a", digest_of("a")),))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_this_machine_needs_no_keys(host: str) -> None:
    check_listening(host, GatewayConfig())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "gateway.example", "localhost.example"])
def test_others_need_keys(host: str) -> None:
    check_listening(host, KEYS)
    with pytest.raises(ConfigError, match=r"routebench keys new NAME --config gateway.yaml.*or leave --host out"):
        check_listening(host, GatewayConfig())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"host": b"127.0.0.1:8080"},
        {b"host": b"localhost"},
        {b"host": b"[::1]:8080"},
        {b"host": b"localhost:1", b"origin": b"http://localhost:8888"},
    ],
)
def test_programs_and_pages_of_this_machine_may_ask(headers: dict[bytes, bytes]) -> None:
    check_visitor(headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({b"host": b"evil.example:8080"}, "foreign_host"),
        ({b"host": b"127.0.0.1.evil.example"}, "foreign_host"),
        ({b"host": b"localhost.evil.example"}, "foreign_host"),
        ({b"host": b"127.0.0.1@evil.example"}, "foreign_host"),
        ({b"host": b"[::1"}, "foreign_host"),
        ({b"host": b"\xff"}, "foreign_host"),
        ({b"host": b"localhost", b"origin": b"https://evil.example"}, "foreign_origin"),
        ({b"host": b"localhost", b"origin": b"null"}, "foreign_origin"),
        ({b"host": b"localhost", b"origin": b""}, "foreign_origin"),
    ],
)
def test_pages_of_other_sites_may_not(headers: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_visitor(headers)
    assert (refused.value.status, refused.value.code) == (403, code)


def test_a_port_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"a port is 0 to 65535; give another --port"):
        listening("127.0.0.1", 99_999)
