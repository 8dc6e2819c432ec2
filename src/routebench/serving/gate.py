"""What passes between a visitor's browser and the server: widgets speak, and nothing else does."""

from __future__ import annotations

import hmac
from typing import Any, cast

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado import web
from voila.tornado.handler import TornadoVoilaHandler

_PROTOCOL = "v1.kernel.websocket.jupyter.org"
"""The one that browsers speak; servers still read an older one, which nobody here needs."""
_MIN_OFFSETS, _MAX_OFFSETS = 6, 256
_WIDGETS = "jupyter.widget.control"
"""The only conversation that a browser may open: it asks for the state of the widgets that there are."""
TO_KERNEL = ("comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request")
_TO_BROWSER = frozenset(
    "comm_open comm_close comm_msg comm_info_reply kernel_info_reply status display_data update_display_data "
    "execute_result clear_output".split()
)
MAX_PAGES = "routebench_max_pages"
"""The setting of the server that says how many pages may be open at once."""


class Gate(ZMQChannelsWebsocketConnection):
    """The channel of one page to its kernel.

    A kernel runs whatever code it is asked to run, so that no `execute_request` may reach it, nor anything else that
    a widget does not need; and tracebacks and printed texts stay on this side.
    """

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Passes a message of the browser on to the kernel if it is a widget's."""
        if self.subprotocol == _PROTOCOL and isinstance(incoming_msg, bytes) and self._may_enter(incoming_msg):
            super().handle_incoming_message(cast("str", incoming_msg))
        else:
            self.log.warning("a message that is no widget's was dropped")

    def _may_enter(self, message: bytes) -> bool:
        # Before anything else reads it: a message that announces 2^64 parts would fill the machine's memory.
        if not _is_framed(message):
            return False
        try:
            channel, parts = deserialize_msg_from_ws_v1(message)  # type: ignore[no-untyped-call]
            header, content = self.session.unpack(parts[0]), self.session.unpack(parts[3])
            kind = header["msg_type"]
            if channel not in ("shell", "control") or kind not in TO_KERNEL:
                return False
            return bool(kind != "comm_open" or content["target_name"] == _WIDGETS)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            return False

    def handle_outgoing_message(self, stream: str, outgoing_msg: list[Any]) -> None:
        """Passes a message of the kernel on to the browser if widgets need it."""
        _, parts = self.session.feed_identities(list(outgoing_msg))
        if self.session.unpack(parts[1])["msg_type"] in _TO_BROWSER:
            super().handle_outgoing_message(stream, outgoing_msg)


def _is_framed(message: bytes) -> bool:
    """Whether a message is laid out as its protocol says: a count, as many offsets, and parts that follow each other.

    The parts are the channel, the header, its parent, metadata, content and what is attached.
    """
    n_offsets = int.from_bytes(message[:8], "little")
    if not _MIN_OFFSETS <= n_offsets <= _MAX_OFFSETS or len(message) < 8 * (n_offsets + 1):
        return False
    offsets = [int.from_bytes(message[8 * i : 8 * (i + 1)], "little") for i in range(1, n_offsets + 1)]
    return offsets[0] == 8 * (n_offsets + 1) and offsets == sorted(offsets) and offsets[-1] == len(message)


class Doorkeeper(IdentityProvider):
    """Lets in who shows the token, compared in constant time; everybody where there is none."""

    @property
    def auth_enabled(self) -> bool:
        """Whether a token is asked for."""
        return bool(self.token)

    async def get_user_token(self, handler: web.RequestHandler) -> User | None:
        """The visitor, if the request shows the token."""
        if not self._is_token(self.get_token(handler)):
            return None
        user = self.get_user_cookie(handler)
        return cast("User | None", user) or self.generate_anonymous_user(handler)

    def process_login_form(self, handler: web.RequestHandler) -> User | None:
        """The visitor, if the form holds the token."""
        if not self._is_token(handler.get_argument("password", default="")):
            return None
        return self.generate_anonymous_user(handler)

    def _is_token(self, shown: str | None) -> bool:
        return bool(self.token) and hmac.compare_digest((shown or "").encode(), str(self.token).encode())


class PageHandler(TornadoVoilaHandler):  # type: ignore[misc]
    """Serves the page."""

    @property
    def content_security_policy(self) -> str:
        """What the browser may load: nothing from elsewhere, so that no text of a prompt can make it call home."""
        # Charts are compiled in the browser; widgets are modules that arrive as blobs.
        return "; ".join(
            [
                "default-src 'self'",
                "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                f"connect-src 'self' ws://{self.request.host} wss://{self.request.host} data: blob:",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            ]
        )

    @web.authenticated
    async def get(self, path: str | None = None) -> None:
        """Starts a kernel and sends the page that it makes."""
        # A picture or frame on somebody's web page must not start kernels here.
        if self.request.headers.get("Sec-Fetch-Dest", "document") != "document":
            raise web.HTTPError(403)
        if self.get_query_argument("token", ""):
            # The cookie is set by now; the token should not stay in the address and the history.
            self.redirect(self.base_url)
            return
        most = self.settings[MAX_PAGES]
        if len(self.kernel_manager.list_kernel_ids()) >= most:
            raise web.HTTPError(503, reason=f"{most} pages are open, close one and load this one again")
        await super().get(path)
