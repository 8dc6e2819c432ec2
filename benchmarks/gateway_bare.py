"""The least that a gateway in Python can be: Starlette and uvicorn, which hand a body on and its answer back.

Nothing is read, decided, counted or traced: what a gateway takes above this is its own doing.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from pyreqwest.client import ClientBuilder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

_WHOLE_BYTES = 64 * 1024


def application(upstream: str) -> Starlette:
    client = ClientBuilder().build()

    async def complete(request: Request) -> Response:
        body = await request.body()
        streamed = b'"stream": true' in body or b'"stream":true' in body
        exchange = (
            client.post(upstream)
            .headers([("content-type", "application/json")])
            .body_bytes(body)
            .streamed_read_buffer_limit(1 if streamed else _WHOLE_BYTES)
            .build_streamed()
        )
        answer = await exchange.__aenter__()
        if streamed:
            return StreamingResponse(pieces(exchange, answer), answer.status, media_type="text/event-stream")
        parts = [bytes(chunk) async for chunk in pieces(exchange, answer)]
        return Response(b"".join(parts), answer.status, media_type="application/json")

    async def pieces(exchange: Any, answer: Any) -> AsyncIterator[bytes]:
        try:
            while (chunk := await answer.body_reader.read_chunk()) is not None:
                yield bytes(chunk)
        finally:
            await exchange.__aexit__(None, None, None)

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"]), Route("/readyz", ready)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    uvicorn.run(
        application(f"{asked.upstream}/chat/completions"),
        port=asked.port, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning",
    )  # fmt: skip
