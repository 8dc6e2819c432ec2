"""What would be done with a request: its decision, and nothing sent; `routebench decisions URL` asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from routebench.errors import RoutebenchError
from routebench.gateway.asked import read_chat
from routebench.gateway.bodies import ClientGoneError, check_form, read_body
from routebench.gateway.course import Course
from routebench.gateway.encoding import encoded
from routebench.gateway.refusal import Refusal, error_body, refusal_of
from routebench.gateway.serving import Serving
from routebench.gateway.visit import Receive, Send, check_model, of_client

PATH = "/v1/routebench/decision"
"""Takes the body of a chat completion."""


async def preview(serving: Serving, sent: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
    """Answers with the decision on a request; it counts for the rate of the key, and leaves no trace."""
    headers = [(b"content-type", b"application/json")]
    try:
        status, body = 200, await _decided(serving, sent, receive)
    except ClientGoneError:
        return
    except RoutebenchError as error:
        refusal = refusal_of(error)
        status, body = refusal.status, error_body(refusal)
    except Refusal as refusal:
        status, body = refusal.status, error_body(refusal)
        headers += [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _decided(serving: Serving, sent: Mapping[bytes, bytes], receive: Receive) -> bytes:
    client = serving.admitted(sent)
    client.begin()
    try:
        check_form(sent)
        asked = of_client(read_chat(await read_body(receive, sent, serving.limits)), client)
        policy = serving.policy
        if policy.router.asks_models:
            raise Refusal(
                400,
                "this rule set asks a model before it decides, which costs money: a decision alone is not told",
                code="decision_is_paid",
            )
        check_model(asked, policy, client)
        course = Course(policy, asked, client, serving.limits, previous=asked.previous)
        decision = await course.decide(explore=False)
    finally:
        client.end(())
    return encoded({**decision.as_dict(), "model": decision.model, "policy": policy.digest})
