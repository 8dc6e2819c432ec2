"""The parameters that a client may send, what their values must be, and those that are refused with a mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from routebench.gateway.refusal import Refusal, shown

Check = Callable[[Any], str | None]
"""Says what a value must be, where it is not that."""

_MOST_STOPS = 16
_MOST_BIASES = 2048
_MOST_WORDS = 16
_LARGEST = 2**53
_TEMPLATE = frozenset({"chat_template", "conversation", "messages", "tools", "tokenize", "tokenizer"})
"""What some servers let these words put in place of their own: a template is a program."""
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_REMOTE = "where a request goes, and with which key, is the gateway's to say; leave it out"
_OTHERS_ROUTING = "the rule set decides which model answers; leave it out, or name a model in `model`"


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        return None if good else f"a number from {least:g} to {most:g}"

    return check


def _count(least: int, most: int = _LARGEST) -> Check:
    bounds = f"at least {least}" if most == _LARGEST else f"from {least} to {most}"

    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if good else f"a whole number {bounds}"

    return check


def _one_of(*words: str) -> Check:
    told = ", ".join(words)

    def check(value: Any) -> str | None:
        return None if isinstance(value, str) and value in words else f"one of {told}"

    return check


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a text"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def _template_words(value: Any) -> str | None:
    good = isinstance(value, dict) and len(value) <= _MOST_WORDS and _TEMPLATE.isdisjoint(value)
    good = good and all(isinstance(one, (str, int, float, bool)) for one in value.values())
    return None if good else "an object of flags, numbers and texts; the template is the server's own"


def _stop(value: Any) -> str | None:
    texts = [value] if isinstance(value, str) else value
    good = isinstance(texts, list) and 0 < len(texts) <= _MOST_STOPS and all(isinstance(one, str) for one in texts)
    return None if good else f"a text, or a list of 1 to {_MOST_STOPS} texts"


def _bias(value: Any) -> str | None:
    good = isinstance(value, dict) and len(value) <= _MOST_BIASES
    good = good and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) and -100 <= one <= 100 for one in value.values()
    )
    return None if good else f"an object of at most {_MOST_BIASES} token ids, each with a number from -100 to 100"


def _texts_only(value: Any) -> str | None:
    return None if value == ["text"] else 'the list ["text"]: answers are handed over as text'


_KNOWN: Mapping[str, Check] = MappingProxyType(
    {
        "temperature": _number(0, 2),
        "top_p": _number(0, 1),
        "frequency_penalty": _number(-2, 2),
        "presence_penalty": _number(-2, 2),
        "max_tokens": _count(1),
        "max_completion_tokens": _count(1),
        "stop": _stop,
        "seed": _count(-_LARGEST),
        "logit_bias": _bias,
        "logprobs": _flag,
        "top_logprobs": _count(0, 20),
        "n": _count(1, 1),
        "user": _text,
        "safety_identifier": _text,
        "prompt_cache_key": _text,
        "prompt_cache_retention": _text,
        "reasoning_effort": _one_of(*_EFFORTS),
        "verbosity": _one_of("low", "medium", "high"),
        "service_tier": _text,
        "store": _flag,
        "parallel_tool_calls": _flag,
        "prediction": _object,
        "modalities": _texts_only,
        # Other providers' own, by the names under which their models take them.
        "top_k": _count(0),
        "min_p": _number(0, 1),
        "repetition_penalty": _number(0, 100),
        "thinking": _object,
        "enable_thinking": _flag,
        "thinking_budget": _count(0),
        "thinkingConfig": _object,
        "reasoning": _object,
        "safe_prompt": _flag,
        "chat_template_kwargs": _template_words,
    }
)
PARAMETERS = frozenset(_KNOWN)
"""Names of parameters that go on to a model under their name; `check` of its provider says whether it has them."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "functions": "functions were replaced; write them as `tools`, each {type: function, function: {…}}",
        "function_call": "it was replaced; write `tool_choice`",
        "audio": "answers are handed over as text; leave it out",
        "web_search_options": "searches have a price of their own, which no budget here knows; leave it out",
        **dict.fromkeys(
            """
            base_url api_base api_key key_env api_version organization project headers extra_body extra_headers
            extra_query custom_llm_provider deployment_id endpoint host proxy timeout request_timeout max_retries
            num_retries
            """.split(),
            _REMOTE,
        ),
        **dict.fromkeys(
            "models provider route transforms plugins fallbacks order deployments context_window_fallbacks".split(),
            _OTHERS_ROUTING,
        ),
    }
)
"""Names that no client may send, and what to do instead."""


def check_parameter(name: str, value: Any) -> None:
    """Checks the value of a known parameter.

    Raises:
        Refusal: it is of another shape, or out of bounds.
    """
    if name == "n" and isinstance(value, int) and value > 1:
        raise Refusal(
            400, "n: one answer a request; got more; send the request again for another answer", param="n",
            code="unsupported_parameter",
        )  # fmt: skip
    wanted = _KNOWN[name](value)
    if wanted is not None:
        raise Refusal(400, f"{name}: {wanted}; got {shown(value)}", param=name, code="invalid_value")


def check_together(params: Mapping[str, Any]) -> None:
    """Checks parameters that need or exclude each other.

    Raises:
        Refusal: two ceilings on the answer's length, or alternatives to tokens whose chances are not asked for.
    """
    if "max_tokens" in params and "max_completion_tokens" in params:
        raise Refusal(
            400,
            "max_tokens: `max_completion_tokens` says the same; write one of them",
            param="max_tokens",
            code="invalid_value",
        )
    if "top_logprobs" in params and params.get("logprobs") is not True:
        raise Refusal(400, "top_logprobs: needs `logprobs: true` beside it", param="top_logprobs", code="invalid_value")
