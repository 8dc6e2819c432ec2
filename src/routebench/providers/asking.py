"""Asking a running gateway which model a request would get, without buying the answer where it can be avoided.

A gateway is known by what it tells of itself:

- LiteLLM routes a prompt through one of its complexity routers on `/auto_router/test_routing` and calls no model. Where
  the key may not do that, a completion's headers tell the tier and the deployment that served.
- vLLM Semantic Router previews on its management port: `/api/v1/routing/preview`, in older releases `/api/v1/eval` and
  `/api/v1/classify/intent`. On its traffic port a completion's `x-vsr-*` headers tell.
- Any other OpenAI-compatible gateway names the model that served in the shortest completion that it will write.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from routebench.errors import ConfigError, ProviderError, nearest
from routebench.messages import last_user_text
from routebench.providers.answer import cost, mapping, sequence
from routebench.providers.base import failed
from routebench.providers.exchange import Client, Heard
from routebench.types import Completion, ErrorKind, Request

if TYPE_CHECKING:
    from routebench.providers.carriers import Carrier

_CAPS: Sequence[Mapping[str, int]] = ({"max_tokens": 1}, {"max_tokens": 16}, {"max_completion_tokens": 16})
"""How short an answer is asked for; a server that refuses one gets the next."""
_AUTO_ROUTER = "auto_router/complexity_router"
_LOCAL_CLASSIFIERS = frozenset({"heuristic", "heuristic_v2"})
_LOCAL_CAUSES = frozenset({"heuristic_scorer", "heuristic_v2", "reasoning_override", "literal_keyword_match"})
"""LiteLLM decided by itself: no model was asked, so deciding cost nothing."""
_PREVIEWS = ("/api/v1/routing/preview", "/api/v1/eval", "/api/v1/classify/intent")
_OWN_ROUTER = "routebench/auto"
_PICKED = frozenset({"selected", "planned_final", "fallback"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a gateway told of one request.

    Attributes:
        model: the model that is tried first, in the gateway's words; None while unknown.
        detail: a tier, a cause, a score, a rule's name; nothing that quotes the prompt.
        latency_s: seconds that deciding took as seen from here, None where an answer's time is mixed in.
        cost_usd: what deciding cost in US dollars, None while unknown.
        fault: why there is no model, as the typed error of a call; a gateway's own words may quote the prompt.
        reason: the same in our words, which never do.
    """

    model: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    latency_s: float | None = None
    cost_usd: float | None = None
    fault: Completion | None = None
    reason: str | None = None


class Gateway(abc.ABC):
    """A gateway that can be asked.

    Attributes:
        name: of the router, for people.
        version: as the gateway tells it, None where it does not.
        way: how it is asked, for the record.
        pays_for: what every question costs money for, such as `answers`; None where nothing is paid.
    """

    name: str
    way: str
    version: str | None = None
    pays_for: str | None = None

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model

    async def ask(self, request: Request) -> Told:
        """Asks what would happen to a request; a question that fails is a Told with its fault."""
        try:
            return await self._ask(request)
        except ValueError as error:
            # JSON of a shape that nobody foresaw: one odd answer is one failed question.
            return _untold("malformed", str(error))

    @abc.abstractmethod
    async def _ask(self, request: Request) -> Told:
        """Asks; a document of an unknown shape raises ValueError."""

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


async def find_gateway(
    url: str, model: str, *, key: str | None, timeout_s: float, transport: Carrier | None = None
) -> Gateway:
    """Looks what kind of gateway is at an address; asks nothing that is paid for.

    Args:
        url: its address, with or without `/v1` at the end.
        model: what the gateway calls its router, such as `auto`.
        key: its key, None where it needs none.
        timeout_s: the longest time of one question.
        transport: carries the requests; a test injects one.

    Raises:
        ConfigError: the address is none, or LiteLLM there has no such model.
        ProviderError: nobody answers there, or the key is refused.
    """
    client = Client(url, key, timeout_s=timeout_s, transport=transport)
    try:
        return await _look(client, model)
    except ValueError as error:
        await client.aclose()
        raise ProviderError(f"{client.root}: tells of itself what no known gateway does: {error}") from None
    except BaseException:
        await client.aclose()
        raise


async def _look(client: Client, model: str) -> Gateway:
    details = await client.get("/health/readiness/details")
    if details.fault is not None and details.fault.error_kind in ("connection", "timeout"):
        raise ProviderError(f"{client.root}: {details.fault.error}; is the gateway running there?")
    version = details.document.get("litellm_version") if isinstance(details.document, Mapping) else None
    if version is not None:
        return await _litellm(client, model, str(version))
    contract = (await client.get("/openapi.json")).document
    if isinstance(contract, Mapping):
        info, paths = contract.get("info"), contract.get("paths")
        info, paths = info if isinstance(info, Mapping) else {}, paths if isinstance(paths, Mapping) else {}
        if str(info.get("title", "")).startswith("LiteLLM"):
            return await _litellm(client, model, info.get("version"))
        for path in _PREVIEWS:
            if path in paths:
                return SemanticRouter(client, model, path)
    if _OWN_ROUTER in _listed((await client.get("/v1/models")).document):
        return RoutebenchPreview(client, _OWN_ROUTER)
    return Answering(client, model)


async def _litellm(client: Client, model: str, version: str | None) -> Gateway:
    told = await client.get("/model/info")
    # A key that is right but may not see this is told so by 403.
    if told.fault is not None and told.fault.error_kind == "auth" and told.status != 403:
        raise ProviderError(f"{client.root}: LiteLLM refuses the key; name its variable with --key-env")
    deployments = _deployments(told.document)
    names = {name for name, _, _ in deployments.values()}
    if names and model not in names | _listed((await client.get("/v1/models")).document):
        routers = [name for name, params, _ in deployments.values() if "router" in str(params.get("model"))]
        raise ConfigError(
            f"{client.root}: LiteLLM has no model {model!r}{nearest(model, names)}; name its router with --model; its "
            f"routers: {', '.join(routers) or 'none'}"
        )
    groups = {ident: name for ident, (name, _, _) in deployments.items()}
    for ident, (name, params, _) in deployments.items():
        if name == model and params.get("model") == _AUTO_ROUTER:
            config = params.get("complexity_router_config")
            preview = LiteLLMPreview(client, model, ident, config if isinstance(config, Mapping) else {}, version)
            # With a model as classifier even a trial would be paid for.
            if preview.pays_for is not None or await preview.works():
                return preview
    return LiteLLMAnswering(client, model, groups, version)


def _deployments(document: Any) -> dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """LiteLLM's deployments by id: name, parameters, info; empty where the key may not see them."""
    found = {}
    rows = document.get("data") if isinstance(document, Mapping) else None
    for row in rows if isinstance(rows, list) else ():
        info, params = mapping(row.get("model_info"), "`model_info`"), mapping(row.get("litellm_params"), "params")
        found[str(info.get("id"))] = (str(row.get("model_name")), params, info)
    return found


def _listed(document: Any) -> set[str]:
    """The names that may be asked for, aliases among them."""
    rows = document.get("data") if isinstance(document, Mapping) else None
    return {str(row.get("id")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else set()


class LiteLLMPreview(Gateway):
    """LiteLLM's own dry run of a complexity router: the hook of a live request, and nothing behind it."""

    name = "litellm complexity router"
    way = "litellm-preview"

    def __init__(self, client: Client, model: str, ident: str, config: Mapping[str, Any], version: str | None) -> None:
        super().__init__(client, model)
        self._ident = ident
        self.version = version
        kind = str(config.get("classifier_type") or "heuristic")
        if config.get("semantic_keyword_matching"):
            kind = "semantic keywords"
        if kind not in _LOCAL_CLASSIFIERS:
            self.name = f"{self.name} ({kind})"
            self.pays_for = "classifications by a model"

    async def works(self) -> bool:
        """Whether this release has the dry run and the key may use it."""
        trial = await self.ask(Request(messages=({"role": "user", "content": "hello"},)))
        return trial.model is not None

    async def _ask(self, request: Request) -> Told:
        body = {"saved_model_id": self._ident, "complexity_router_config": {}, **_request_body(request)}
        heard = await self._client.post("/auto_router/test_routing", body)
        if heard.fault is not None:
            return _unheard(heard)
        document = mapping(heard.document, "the decision")
        decision = mapping(document.get("routing_decision"), "`routing_decision`")
        model = document.get("routed_model")
        if not isinstance(model, str):
            return _untold("malformed", "LiteLLM's dry run named no model")
        detail = _kept(decision, ("tier", "cause", "score", "classifier_model"))
        return Told(model, detail, latency_s=heard.latency_s, cost_usd=_classifier_cost(decision))


class RoutebenchPreview(Gateway):
    """A gateway of ours: what it would do with a request, and nothing sent."""

    name = "routebench gateway"
    way = "routebench-preview"

    async def _ask(self, request: Request) -> Told:
        own = {"metadata": dict(request.metadata), "tags": list(request.tags)}
        body = {"model": self._model, **_request_body(request), **request.params, "routebench": own}
        heard = await self._client.post("/v1/routebench/decision", body)
        if heard.fault is not None:
            return _unheard(heard)
        document = mapping(heard.document, "the decision")
        model = document.get("model")
        if not isinstance(model, str):
            return _untold("malformed", "the decision names no model")
        return Told(model, _kept(document, ("rule", "policy")), latency_s=heard.latency_s, cost_usd=0.0)


class SemanticRouter(Gateway):
    """vLLM Semantic Router's preview: every signal and the decision, without a generation."""

    name = "vllm semantic router"
    way = "vllm-sr-preview"

    def __init__(self, client: Client, model: str, path: str) -> None:
        super().__init__(client, model)
        # Its contract tells the version of the API, not that of the router.
        self._path = path

    async def _ask(self, request: Request) -> Told:
        intent = self._path.endswith("/intent")
        body = {"text": last_user_text(request.messages)} if intent else _request_body(request)
        heard = await self._client.post(self._path, {"model": self._model, **body})
        if heard.fault is not None:
            return _unheard(heard)
        document = mapping(heard.document, "the preview")
        result = mapping(document.get("decision_result"), "`decision_result`")
        detail = {
            **_kept(document, ("selection_status", "selection_method", "recipe")),
            **_kept(result, ("decision_name", "algorithm", "confidence")),
        }
        model = _selected(document)
        if model is None:
            candidates = sequence(document.get("recommended_models"), "`recommended_models`")
            sentence = (
                f"the preview selects no model (status {document.get('selection_status') or 'not told'}, "
                f"{len(candidates)} candidates); only a real request would tell"
            )
            return _untold("bad_request", sentence, detail=detail, latency_s=heard.latency_s)
        return Told(model, detail, latency_s=heard.latency_s)


class Answering(Gateway):
    """The shortest completion that the gateway will write, and the model that it names."""

    name = "OpenAI-compatible gateway"
    way = "answer"
    pays_for = "answers"
    _cap = 0

    async def _ask(self, request: Request) -> Told:
        # One token, or sixteen where a server refuses to write so little.
        for number in range(self._cap, len(_CAPS)):
            body = {"model": self._model, "stream": False, **_request_body(request), **_CAPS[number]}
            heard = await self._client.post("/v1/chat/completions", body)
            if heard.fault is None:
                self._cap = number
                return self._read(heard)
            if heard.fault.error_kind != "bad_request":
                break
        return _unheard(heard)

    def _read(self, heard: Heard) -> Told:
        headers = heard.headers
        detail = _from_headers(headers, "x-vsr-selected-", ("decision", "confidence", "category"))
        model = headers.get("x-vsr-selected-model") or mapping(heard.document, "the answer").get("model")
        if not isinstance(model, str) or model == self._model:
            sentence = f"the answer names no model but {self._model!r} itself, so that nobody can tell who served"
            return _untold("bad_request", sentence, detail=detail)
        return Told(model, detail)


class LiteLLMAnswering(Answering):
    """A completion through LiteLLM; its headers name the deployment and, of a complexity router, the tier."""

    name = "litellm router"
    way = "litellm-answer"

    def __init__(self, client: Client, model: str, groups: Mapping[str, str], version: str | None) -> None:
        super().__init__(client, model)
        self._groups = groups
        self.version = version

    def _read(self, heard: Heard) -> Told:
        headers = heard.headers
        detail = _from_headers(headers, "x-litellm-complexity-router-", ("tier", "cause", "score"))
        if headers.get("x-litellm-attempted-fallbacks", "0") != "0":
            sentence = "the first choice failed and a fallback answered; what the first choice was is not told"
            return _untold("server", sentence, detail=detail)
        group = self._groups.get(headers.get("x-litellm-model-id", ""))
        model = group or headers.get("x-litellm-model-name")
        cost_usd = 0.0 if detail.get("cause") in _LOCAL_CAUSES else None
        if model is None:
            return replace(super()._read(heard), detail=detail, cost_usd=cost_usd)
        return Told(model, detail, cost_usd=cost_usd)


def _untold(kind: ErrorKind, sentence: str, **known: Any) -> Told:
    """There is no model, for a reason of ours."""
    return Told(fault=failed(kind, sentence), reason=sentence, **known)


def _unheard(heard: Heard) -> Told:
    """There is no model, since the question itself failed."""
    fault = heard.fault
    ours = fault.error if fault is not None and heard.status is None else f"HTTP {heard.status}"
    return Told(fault=fault, reason=ours)


def _request_body(request: Request) -> dict[str, Any]:
    """What a router may look at; a case's own parameters shape its answer alone."""
    body: dict[str, Any] = {"messages": [dict(message) for message in request.messages]}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    return body


def _classifier_cost(decision: Mapping[str, Any]) -> float | None:
    told = cost(decision.get("classifier_cost"))
    if told is None and decision.get("cause") in _LOCAL_CAUSES and not decision.get("classifier_model"):
        return 0.0
    return told


def _selected(document: Mapping[str, Any]) -> str | None:
    """The one model that a preview leaves; several candidates are none."""
    status = document.get("selection_status")
    model = document.get("selected_model") or document.get("recommended_model")
    if isinstance(model, str) and (status is None or status in _PICKED):
        return model
    candidates = sequence(document.get("recommended_models"), "`recommended_models`")
    only = candidates[0] if len(candidates) == 1 and status is None else None
    return only if isinstance(only, str) else None


def _kept(document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The named facts that are there and simple; whatever else a gateway tells may quote the prompt."""
    facts = {name: document.get(name) for name in names}
    return {name: _rounded(value) for name, value in facts.items() if isinstance(value, (str, int, float))}


def _from_headers(headers: Mapping[str, str], prefix: str, names: Sequence[str]) -> dict[str, Any]:
    """The named headers, numbers as numbers."""
    return {name: _number(headers[prefix + name]) for name in names if prefix + name in headers}


def _number(text: str) -> str | float:
    try:
        return round(float(text), 6)
    except ValueError:
        return text


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
