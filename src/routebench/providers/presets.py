"""The providers that routebench brings, a line each; `pyproject.toml` registers them as third parties' are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from routebench.pricing.book import DASHSCOPE
from routebench.providers.anthropic import DEFAULT_MAX_TOKENS, AnthropicMessages
from routebench.providers.anthropic import URL as ANTHROPIC_URL
from routebench.providers.base import Provider, ProviderKind
from routebench.providers.embedded import SERVERS, Embedded, check_embedded
from routebench.providers.gemini import URL as GEMINI_URL
from routebench.providers.gemini import GeminiContent
from routebench.providers.http import HttpProvider, Wire
from routebench.providers.openai import OPENAI_PARAMS, Dialect, OpenAIChat
from routebench.providers.tool import Tool, check_tool
from routebench.providers.transport import open_transport


def http_kind(
    wire: Wire, *, base_url: str | None, key_env: str | None = None, book: str | None = None, by_address: bool = False
) -> ProviderKind:
    """Returns the kind of a provider that speaks a wire format over HTTP."""

    def opener(secrets: Mapping[str, str]) -> Provider:
        return HttpProvider(wire, open_transport(), secrets)

    return ProviderKind(
        open=opener,
        check=wire.check,
        output_cap=wire.output_cap,
        base_url=base_url,
        key_env=key_env,
        book=book,
        by_address=by_address,
    )


def _chat(
    dialect: Dialect, *, key_env: str | None = None, book: str | None = None, by_address: bool = False
) -> ProviderKind:
    return http_kind(
        OpenAIChat(dialect), base_url=dialect.base_url or None, key_env=key_env, book=book, by_address=by_address
    )


_MAX_TOKENS = {"max_completion_tokens": "max_tokens"}
_SAMPLING = frozenset(
    "frequency_penalty max_tokens presence_penalty response_format stop temperature tool_choice top_p n".split()
)

openai = _chat(
    # `max_tokens` is deprecated there, and its reasoning models refuse it.
    Dialect(
        "openai",
        "https://api.openai.com/v1",
        params=OPENAI_PARAMS,
        renamed={"max_tokens": "max_completion_tokens"},
        only_at_home=True,
        developer=True,
        extras=False,
    ),
    key_env="OPENAI_API_KEY",
    book="openai",
    by_address=True,
)
anthropic = replace(
    http_kind(AnthropicMessages(), base_url=ANTHROPIC_URL, key_env="ANTHROPIC_API_KEY", book="anthropic"),
    max_tokens=DEFAULT_MAX_TOKENS,
)
gemini = http_kind(GeminiContent(), base_url=GEMINI_URL, key_env="GEMINI_API_KEY", book="google")
deepseek = _chat(
    Dialect(
        "deepseek",
        "https://api.deepseek.com",
        params=_SAMPLING | {"logprobs", "top_logprobs", "thinking", "reasoning_effort", "user"},
        renamed=_MAX_TOKENS,
        json_schema=False,
    ),
    key_env="DEEPSEEK_API_KEY",
    book="deepseek",
)
mistral = _chat(
    Dialect(
        "mistral",
        "https://api.mistral.ai/v1",
        params=_SAMPLING
        | {"parallel_tool_calls", "prediction", "prompt_mode", "safe_prompt", "reasoning_effort", "metadata"},
        renamed={**_MAX_TOKENS, "seed": "random_seed"},
        usage_on_request=False,
        extras=False,
        short_ids=True,
    ),
    key_env="MISTRAL_API_KEY",
    book="mistral",
)
qwen = _chat(
    Dialect(
        "qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        params=(_SAMPLING - {"frequency_penalty"})
        | {
            *("enable_thinking", "thinking_budget", "enable_search", "search_options", "top_k", "seed"),
            *(
                "parallel_tool_calls",
                "logprobs",
                "top_logprobs",
                "repetition_penalty",
                "modalities",
                "reasoning_effort",
            ),
        },
        renamed=_MAX_TOKENS,
    ),
    key_env="DASHSCOPE_API_KEY",
    book=DASHSCOPE,
)
openrouter = _chat(
    # With usage accounting the last event tells what the call cost.
    Dialect("openrouter", "https://openrouter.ai/api/v1", body={"usage": {"include": True}}),
    key_env="OPENROUTER_API_KEY",
    book="openrouter",
)
tokenmix = _chat(Dialect("tokenmix", "https://api.tokenmix.ai/v1"), key_env="TOKENMIX_API_KEY")
portkey = _chat(
    Dialect("portkey", "https://api.portkey.ai/v1", key_header="x-portkey-api-key", key_prefix=""),
    key_env="PORTKEY_API_KEY",
)
# Everyone runs these at home, so they have no address and no key of their own, and no price but the user's.
litellm = _chat(
    Dialect("litellm", "", cost_header="x-litellm-response-cost", model_header="x-litellm-model-name"),
    key_env="LITELLM_API_KEY",
)
vllm = _chat(Dialect("vllm", "http://127.0.0.1:8000/v1"))
llamacpp = _chat(Dialect("llamacpp", "http://127.0.0.1:8080/v1"))
ollama = _chat(Dialect("ollama", "http://127.0.0.1:11434/v1", renamed=_MAX_TOKENS))

embedded = ProviderKind(open=lambda _secrets: Embedded(), check=check_embedded, concurrency=SERVERS)
tool = ProviderKind(open=lambda _secrets: Tool(), check=check_tool, concurrency=1)
