"""The server from outside, as somebody who wants more than to look would try it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from routebench.errors import ConfigError
from routebench.serving import Access, Dashboard, open_dashboard
from tests.serving.visitor import V1, channel, fetch, framed, kernel_of

pytest.importorskip("voila")

TOKEN = "a-token-that-nobody-guesses"
# What a panel is to the server: widgets, one of which fails when it is touched; and a door that must stay shut.
CODE = """
import json, os
from pathlib import Path
import ipywidgets as widgets
Path("environment.json").write_text(json.dumps(dict(os.environ)))
touched = widgets.IntText(description="touched")
touched.observe(lambda change: Path("touched").write_text(str(change["new"])), "value")
broken = widgets.IntText(description="broken")
def fail(change):
    print("printed-secret")
    raise RuntimeError("raised-secret")
broken.observe(fail, "value")
get_ipython().kernel.comm_manager.register_target("danger", lambda comm, message: Path("danger").touch())
widgets.VBox([touched, broken])
"""


@dataclass(frozen=True)
class Widgets:
    """A page of two widgets in the place of the cockpit."""

    def write(self, folder: Path) -> Path:
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": [], "source": CODE}
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "cells": [cell],
        }
        path = folder / "cockpit.ipynb"
        path.write_text(json.dumps(notebook))
        return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[Dashboard]:
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "sk-secret-1",
        "AWS_SECRET_ACCESS_KEY": "secret-2",
        "DATABASE_URL": "postgres://me:secret-3@db",
        "HTTPS_PROXY": "http://me:secret-4@proxy",
    }
    access = Access(port=0)
    with open_dashboard(Widgets(), access, keys=["OPENAI_API_KEY"], environment=environment, folder=folder) as served:
        yield served


@pytest.fixture(scope="module")
def page(dashboard: Dashboard) -> str:
    status, _, body = fetch(dashboard.address)
    assert status == 200
    return body


@pytest.fixture(scope="module")
def kernel(page: str) -> str:
    return kernel_of(page)


@pytest.mark.parametrize("protocol", [V1, None])
@pytest.mark.parametrize("where", ["shell", "control", "stdin", "iopub"])
def test_no_code_of_a_visitor_runs(
    dashboard: Dashboard, kernel: str, folder: Path, protocol: str | None, where: str
) -> None:
    code = "from pathlib import Path; Path('executed').touch()"
    with channel(dashboard.address, kernel, protocol=protocol) as visitor:
        visitor.send("execute_request", {"code": code, "silent": False, "allow_stdin": False}, channel=where)
    assert "execute_reply" not in kinds_until_answered(dashboard, kernel)
    assert not (folder / "executed").exists()


def kinds_until_answered(dashboard: Dashboard, kernel: str, *messages: str | bytes) -> set[str]:
    """What comes back up to the answer of a question that may be asked, which the kernel takes up last."""
    with channel(dashboard.address, kernel) as visitor:
        for message in messages:
            visitor.send_raw(message)
        visitor.send("comm_info_request", {})
        return {kind for kind, _ in visitor.until("comm_info_reply")}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("complete_request", {"code": "import o", "cursor_pos": 8}),
        ("inspect_request", {"code": "open", "cursor_pos": 4, "detail_level": 1}),
        ("history_request", {"hist_access_type": "tail", "n": 10, "output": True, "raw": True}),
        ("is_complete_request", {"code": "1"}),
        ("debug_request", {"type": "request", "seq": 1, "command": "initialize", "arguments": {}}),
        ("interrupt_request", {}),
        ("shutdown_request", {"restart": False}),
        ("create_subshell_request", {}),
        ("usage_request", {}),
        ("input_reply", {"value": "x"}),
        (["comm_msg"], {}),
        (None, {}),
    ],
)  # fmt: skip
def test_a_kernel_answers_widgets_and_nothing_else(
    dashboard: Dashboard, kernel: str, kind: Any, content: dict[str, Any]
) -> None:
    with channel(dashboard.address, kernel) as visitor:
        for where in ("shell", "control"):
            visitor.send(kind, content, channel=where)
        visitor.send("comm_info_request", {})
        kinds = {name for name, _ in visitor.until("comm_info_reply")}
    assert kinds <= {"status", "comm_info_reply"}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        # Announces 2^64 parts: servers that believe it fill the machine's memory.
        b"\xff" * 64,
        framed("shell", [b"{}"]),
        framed("shell", [b"nothing"] * 4),
        framed("shell", [b"[" * 100_000, b"{}", b"{}", b"{}"]),
        framed("shell", [b"{}", b"{}", b"{}", b"{}"])[:-1],
        framed("\udcff", [b"{}", b"{}", b"{}", b"{}"]),
        framed("shell", [b'{"msg_type": "comm_open"}', b"{}", b"{}", b"[]"]),
        "",
        "[]",
        '{"channel": "shell", "header": [], "content": 1}',
    ],
    ids=range(12),
)  # fmt: skip
def test_broken_messages_leave_the_channel_as_it_is(dashboard: Dashboard, kernel: str, message: str | bytes) -> None:
    assert "comm_info_reply" in kinds_until_answered(dashboard, kernel, message)


def widget_states(dashboard: Dashboard, kernel: str) -> dict[str, dict[str, Any]]:
    """The widgets of a page by their description, as a browser asks for them."""
    with channel(dashboard.address, kernel) as visitor:
        told = visitor.ask_for_widgets()
    return {one["state"].get("description"): {"id": name, **one["state"]} for name, one in told.items()}


def test_widgets_are_reached(dashboard: Dashboard, kernel: str, folder: Path) -> None:
    touched = widget_states(dashboard, kernel)["touched"]
    with channel(dashboard.address, kernel) as visitor:
        visitor.send("comm_msg", {"comm_id": touched["id"], "data": {"method": "update", "state": {"value": 7}}})
        visitor.send("comm_info_request", {})
        visitor.until("comm_info_reply")
    assert (folder / "touched").read_text() == "7"


def test_a_visitor_opens_no_other_conversation(dashboard: Dashboard, kernel: str, folder: Path) -> None:
    before = len(widget_states(dashboard, kernel))
    made = {
        "_model_module": "@jupyter-widgets/controls",
        "_model_module_version": "2.0.0",
        "_model_name": "IntTextModel",
        "_view_module": "@jupyter-widgets/controls",
        "_view_module_version": "2.0.0",
        "_view_name": "IntTextView",
    }
    with channel(dashboard.address, kernel) as visitor:
        visitor.send("comm_open", {"comm_id": "d1", "target_name": "danger", "data": {}})
        visitor.send("comm_open", {"comm_id": "d2", "target_name": "jupyter.widget", "data": {"state": made}})
        visitor.send("comm_info_request", {})
        visitor.until("comm_info_reply")
    assert not (folder / "danger").exists()
    assert len(widget_states(dashboard, kernel)) == before


def test_tracebacks_and_printed_texts_stay_on_the_server(dashboard: Dashboard, kernel: str) -> None:
    broken = widget_states(dashboard, kernel)["broken"]
    with channel(dashboard.address, kernel) as visitor:
        visitor.send("comm_msg", {"comm_id": broken["id"], "data": {"method": "update", "state": {"value": 7}}})
        visitor.send("comm_info_request", {})
        come = visitor.until("comm_info_reply")
    assert not {kind for kind, _ in come} & {"error", "stream", "execute_input"}
    assert "secret" not in json.dumps(come)


def test_no_key_reaches_a_page_that_only_shows(folder: Path, page: str) -> None:
    told = json.loads((folder / "environment.json").read_text())
    assert told["PATH"] == os.environ["PATH"]
    assert "secret" not in json.dumps(told)


def test_a_page_that_may_run_knows_the_keys_of_its_models_only(tmp_path: Path) -> None:
    environment = {**os.environ, "OPENAI_API_KEY": "the-key", "OTHER_API_KEY": "secret"}
    access = Access(port=0, token=TOKEN, cap_usd=1.0)
    with open_dashboard(Widgets(), access, keys=["OPENAI_API_KEY"], environment=environment, folder=tmp_path) as served:
        status, _, _ = fetch(served.address, headers={"Authorization": f"token {TOKEN}"})
        assert status == 200
    told = json.loads((tmp_path / "environment.json").read_text())
    assert told["OPENAI_API_KEY"] == "the-key"
    assert "secret" not in json.dumps(told)
    # Nor the token: another visitor's kernel must not know it.
    assert TOKEN not in json.dumps(told)


def test_the_page_shows_no_source_and_loads_nothing_from_elsewhere(dashboard: Dashboard, page: str) -> None:
    assert "register_target" not in page
    assert "fontawesome" not in page
    _, headers, _ = fetch(dashboard.address, "/no-such-page")
    _, page_headers, _ = fetch(dashboard.address, headers={"Sec-Fetch-Dest": "image"})
    assert headers["x-content-type-options"] == "nosniff"
    policy = page_headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "http:" not in policy
    assert "https:" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/voila/files/cockpit.ipynb",
        "/voila/files/page.json",
        "/voila/files/environment.json",
        "/voila/files/picture.png",
        "/voila/files/..%2f..%2fetc%2fpasswd",
        "/voila/static/..%2f..%2f__init__.py",
        "/voila/templates/routebench/static/..%2f..%2f..%2f..%2f..%2fserver.py",
        "/voila/tree",
        "/voila/api/contents/cockpit.ipynb",
        "/api/kernels",
        "/api/contents",
        "/api/sessions",
        "/api/terminals",
        "/api/kernelspecs",
        "/lab",
        "/tree",
    ],
)  # fmt: skip
def test_nothing_else_is_served(dashboard: Dashboard, folder: Path, path: str) -> None:
    (folder / "picture.png").write_bytes(b"png")
    status, _, body = fetch(dashboard.address, path)
    if status == 302:
        status, _, body = fetch(dashboard.address, fetch(dashboard.address, path)[1]["location"])
    assert status >= 400
    assert len(body) < 1000
    assert "import" not in body


def test_nothing_can_be_started_by_a_request(dashboard: Dashboard, kernel: str) -> None:
    for path in ("/api/kernels", "/api/sessions", "/api/terminals", f"/api/kernels/{kernel}/restart"):
        assert fetch(dashboard.address, path, method="POST")[0] in (403, 404, 405)
    # Nor ended, by another web page that knows its name.
    assert fetch(dashboard.address, f"/api/kernels/{kernel}", method="DELETE")[0] == 403
    assert fetch(dashboard.address, f"/voila/api/shutdown/{kernel}", method="POST")[0] == 403


def test_web_pages_of_others_cannot_use_this_machine_s_browser(dashboard: Dashboard, kernel: str) -> None:
    # By a name of theirs that points here; as a picture or frame; and by the channel of a kernel whose id they know.
    assert fetch(dashboard.address, headers={"Host": "evil.example:8866"})[0] == 403
    assert fetch(dashboard.address, headers={"Sec-Fetch-Dest": "iframe"})[0] == 403
    with (
        pytest.raises(InvalidStatus) as refused,
        channel(dashboard.address, kernel, headers={"Origin": "http://evil.example"}),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_queries_choose_neither_template_nor_theme(dashboard: Dashboard) -> None:
    _, _, body = fetch(dashboard.address, "/?template=classic&theme=dark")
    assert 'data-jp-theme-name="JupyterLab Light"' in body
    assert "fontawesome" not in body


def test_only_who_shows_the_token_comes_in(tmp_path: Path) -> None:
    with open_dashboard(Widgets(), Access(port=0, token=TOKEN, max_pages=1), folder=tmp_path) as served:
        assert fetch(served.address)[0] == 302
        for shown in ("", "wrong", TOKEN[:-1], TOKEN + "x", "ä"):
            status, headers, _ = fetch(served.address, f"/?token={shown.encode().hex() if shown == 'ä' else shown}")
            assert (status, headers["location"].split("?")[0]) == (302, "/login")
        assert not (tmp_path / "environment.json").exists()

        status, headers, _ = fetch(served.address, f"/?token={TOKEN}")
        # The token does not stay in the address.
        assert (status, headers["location"]) == (302, "/")
        cookie = headers["set-cookie"].split(";")[0]
        assert "HttpOnly" in headers["set-cookie"]
        assert "SameSite=Lax" in headers["set-cookie"]
        status, _, body = fetch(served.address, headers={"Cookie": cookie})
        assert status == 200
        kernel = kernel_of(body)
        with channel(served.address, kernel, headers={"Cookie": cookie}) as visitor:
            visitor.send("comm_info_request", {})
            assert visitor.until("comm_info_reply")

        # Who knows the kernel and not the token, or forges a cookie, stays out.
        for headers in ({}, {"Cookie": cookie[:-4] + "0000"}):
            with pytest.raises(InvalidStatus) as refused, channel(served.address, kernel, headers=headers):
                pass
            assert refused.value.response.status_code == 403
            assert fetch(served.address, f"/api/kernels/{kernel}", headers=headers)[0] in (302, 403)
            assert fetch(served.address, f"/voila/api/shutdown/{kernel}", method="POST", headers=headers)[0] == 403

        # One visitor cannot fill the machine with kernels.
        status, _, body = fetch(served.address, headers={"Cookie": cookie})
        assert status == 503
        assert served.url == f"{served.address}?token={TOKEN}"


def test_a_port_that_is_taken_is_named_and_not_another_one_used(dashboard: Dashboard, tmp_path: Path) -> None:
    port = int(dashboard.address.rstrip("/").rsplit(":", 1)[1])
    with (
        pytest.raises(ConfigError, match=f"127.0.0.1:{port}: .*choose another --port"),
        open_dashboard(Widgets(), Access(port=port), folder=tmp_path),
    ):
        pass


def test_server_kernels_and_files_go_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with open_dashboard(Widgets(), Access(port=0)) as served:
        assert fetch(served.address)[0] == 200
        (own,) = tmp_path.glob("routebench-*")
        pid = json.loads((own / "environment.json").read_text())["JPY_PARENT_PID"]
    assert not own.exists()
    with pytest.raises(ConnectionRefusedError):
        fetch(served.address)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
