"""Who may come in and spend: what is refused before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import ConfigError
from routebench.serving import Access, new_token
from routebench.serving.environment import clean_environment


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, ["0.0.0.0", "--token"]),
        ({"host": "::"}, ["--token"]),
        ({"host": "192.168.1.5"}, ["--token"]),
        ({"host": "workstation"}, ["--token"]),
        ({"cap_usd": 1.0}, ["--allow-run", "--token"]),
        ({"cap_usd": 0.0, "token": "a" * 32}, ["--cap-usd"]),
        ({"cap_usd": -1.0, "token": "a" * 32}, ["--cap-usd"]),
        ({"cap_usd": float("nan"), "token": "a" * 32}, ["--cap-usd"]),
        ({"token": "short"}, ["5 characters", "16"]),
        ({"token": ""}, ["0 characters"]),
        ({"port": -1}, ["--port -1", "65535"]),
        ({"port": 65_536}, ["--port 65536", "0 takes any"]),
    ],
)
def test_what_would_let_others_in_is_refused(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        Access(**settings)
    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_may_look_without_a_token(host: str) -> None:
    access = Access(host=host)
    assert access.is_local
    assert not access.allows_runs


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: .*choose another --port"):
            Access(port=port).check_free()
    Access(port=port).check_free()


def test_tokens_are_long_and_new() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert Access(token=new_token(), host="0.0.0.0", cap_usd=1.0).allows_runs


def test_the_server_knows_named_variables_and_no_others(tmp_path: Path) -> None:
    ours = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OPENAI_API_KEY": "k1",
        "openai_api_key": "k2",
        "HF_TOKEN": "k3",
        "PGPASSWORD": "k4",
        "HTTP_PROXY": "http://me:k5@proxy",
        "JUPYTER_TOKEN": "k6",
        "PIP_INDEX_URL": "http://me:k7@index",
        "SOMETHING_NEW": "k8",
    }
    kept = clean_environment(ours, tmp_path)
    assert (kept["PATH"], kept["LC_ALL"]) == ("/bin", "C")
    assert not set(kept.values()) & set(ours.values()) - {"/bin", "C"}
    assert set(clean_environment(ours, tmp_path, ["OPENAI_API_KEY"])) - set(kept) == {"OPENAI_API_KEY"}


def test_settings_of_the_user_s_own_jupyter_are_not_read(tmp_path: Path) -> None:
    kept = clean_environment({"JUPYTER_CONFIG_DIR": "/home/me", "IPYTHONDIR": "/home/me"}, tmp_path)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        assert Path(kept[name]).parent == tmp_path
