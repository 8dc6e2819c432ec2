"""The gateway's paths, as an ASGI application."""

from __future__ import annotations

from collections.abc import Mapping

from routebench.gateway.asked import AUTO
from routebench.gateway.clients import Client
from routebench.gateway.metrics import CONTENT_TYPE, Standing
from routebench.gateway.preview import PATH, preview
from routebench.gateway.refusal import Refusal, error_body
from routebench.gateway.serving import Serving
from routebench.gateway.visit import Receive, Send, Visit
from routebench.gateway.whole import model_document, models_document

_JSON = b"application/json"
_CHAT = ("/v1/chat/completions", "/chat/completions")
_MODELS = ("/v1/models", "/models")
_GET = ("GET", "HEAD")


class App:
    """Serves what `serving` says at the moment of every request.

    Attributes:
        serving: another one's parts after a reload; None until it is ready.
        draining: whether the gateway ends, and takes no new traffic from who looks at `/readyz`.
    """

    def __init__(self) -> None:
        self.serving: Serving | None = None
        self.draining = False

    async def __call__(self, scope: Mapping[str, object], receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            # Nothing here speaks WebSocket.
            await send({"type": "websocket.close", "code": 1000})
            return
        path, method = str(scope["path"]), str(scope["method"])
        sent: Mapping[bytes, bytes] = dict(scope["headers"])  # type: ignore[call-overload]
        serving = self.serving
        if serving is not None and path in _CHAT and method == "POST":
            await Visit(serving, sent, receive, send).run()
            return
        if serving is not None and path == PATH and method == "POST":
            await preview(serving, sent, receive, send)
            return
        try:
            status, form, body = self._small(method, path, sent)
            told = [(b"content-type", form)]
        except Refusal as refusal:
            status, body = refusal.status, error_body(refusal)
            told = [(b"content-type", _JSON)]
            told += [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
        told.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    def _small(self, method: str, path: str, sent: Mapping[bytes, bytes]) -> tuple[int, bytes, bytes]:
        """Status, content type and body of what is answered at once.

        Raises:
            Refusal: there is no such path, or not for this method, or the key is missing.
        """
        if path in ("/healthz", "/readyz"):
            _only(method, _GET, path)
            if path == "/healthz":
                return 200, _JSON, b'{"status":"ok"}'
            ready = self.serving is not None and not self.draining
            return (200, _JSON, b'{"status":"ready"}') if ready else (503, _JSON, b'{"status":"not ready"}')
        serving = self.serving
        if serving is None:
            raise Refusal(503, "the gateway is starting; try again in a second", kind="api_error", code="starting")
        if path == "/metrics":
            _only(method, _GET, path)
            serving.admitted(sent)
            return 200, CONTENT_TYPE, serving.metrics.render(standing_of(serving))
        if path in _MODELS or path.startswith(tuple(f"{one}/" for one in _MODELS)):
            _only(method, _GET, path)
            return 200, _JSON, self._models(serving, serving.admitted(sent), path)
        if path in _CHAT or path == PATH:
            _only(method, ("POST",), path)
        raise Refusal(
            404,
            f"{method[:20]} {path[:80]}: there is nothing here; the gateway answers POST /v1/chat/completions, "
            "GET /v1/models, /healthz, /readyz and /metrics",
            code="unknown_url",
        )

    def _models(self, serving: Serving, client: Client, path: str) -> bytes:
        names = [AUTO, *(name for name in serving.policy.ruleset.order if client.may(name))]
        created = serving.policy.created
        asked = path.removeprefix("/v1").removeprefix("/models").removeprefix("/")
        if not asked:
            return models_document(names, created)
        if asked not in names:
            raise Refusal(404, f"no model {asked[:80]!r}; models: {', '.join(names)}", code="model_not_found")
        return model_document(asked, created)


def _only(method: str, methods: tuple[str, ...], path: str) -> None:
    if method not in methods:
        raise Refusal(
            405,
            f"{path} takes {methods[0]}, not {method[:20]}",
            code="method_not_allowed",
            headers={"allow": ", ".join(methods)},
        )


def standing_of(serving: Serving) -> Standing:
    """Returns how the gateway is doing now, for its metrics."""
    policy, writer = serving.policy, serving.writer
    health = policy.router.health
    ledgers = {f"key {one.name}": one.ledger for one in serving.clients if one.ledger is not None}
    if policy.router.ledger is not None:
        ledgers["rules"] = policy.router.ledger
    return Standing(
        rules=policy.ruleset.name,
        policy=policy.digest,
        deployments=tuple(policy.places),
        ill={} if health is None else health.ill(),
        traces_waiting=getattr(writer, "n_waiting", 0),
        traces_lost=getattr(writer, "n_lost", 0),
        ledgers=ledgers,
    )
