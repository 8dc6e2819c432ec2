"""gateway.yaml: who may ask, within which limits, and what is kept of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from routebench.config import Settings, describe, json_schema
from routebench.errors import ConfigError, InputError, nearest
from routebench.gateway.keys import Key
from routebench.gateway.limits import Limits
from routebench.redact import Privacy, TextMode, load_redactor
from routebench.rules.conditions.when import TimeZone
from routebench.yaml_source import YamlSource, parse_yaml

_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DEFAULT = Limits()
_Bytes = Annotated[int, Field(ge=1024)]
_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Scalar = str | int | float | bool
_Day = date


class RateSettings(Settings):
    """How often a key may ask."""

    requests_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Requests a minute, evenly spread."""
    burst: _Count | None = None
    """Requests that may come at once after a pause; those of a minute when left out."""


class KeySettings(Settings):
    """A gateway key. `routebench keys new NAME` makes one, and writes this."""

    name: str
    """Of its holder, in traces and metrics: letters, digits and . _ @ -."""
    sha256: str
    """SHA-256 of the key in hexadecimal digits; the key itself is never written."""
    models: Annotated[list[str], Field(min_length=1)] | None = None
    """The models that it may ask, by their names in rules.yaml; all when left out."""
    rate: RateSettings | None = None
    """How often it may ask."""
    concurrency: _Count | None = None
    """Requests of it that are served at once."""
    budget_usd_per_day: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """US dollars that its requests may cost from midnight to midnight."""
    timezone: TimeZone = "UTC"
    """Whose midnight ends its day, such as Europe/Berlin."""
    metadata: dict[str, _Scalar | list[_Scalar]] = {}
    """For conditions `metadata.NAME`; a client cannot say otherwise of these names."""
    tags: list[str] = []
    """For conditions `tag`, besides those that the client sends."""
    expires: _Day | None = None
    """The last day on which it is good, in its time zone."""
    disabled: bool = False
    """Whether it is refused for now."""

    @field_validator("name")
    @classmethod
    def _is_a_word(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("the name of a key has at most 64 letters, digits and . _ @ -, such as support-bot")
        return name

    # Not by a pattern: the sentence of one repeats the value, and that may be a key which was written here by mistake.
    @field_validator("sha256")
    @classmethod
    def _is_a_digest(cls, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(
                "`sha256` is the SHA-256 of a key, 64 digits from 0 to f, and never the key; if a key stands here, it "
                "is known to all who read this file: `routebench keys new` makes another"
            )
        return sha256.lower()


class LimitSettings(Settings):
    """What no client may go beyond."""

    max_body_bytes: _Bytes = _DEFAULT.max_body_bytes
    """Of a request's body."""
    max_header_bytes: _Bytes = _DEFAULT.max_header_bytes
    """Of its first line and headers together."""
    max_concurrency: _Count = _DEFAULT.max_concurrency
    """Requests that are served at once; others are told to try again."""
    max_connections: _Count = _DEFAULT.max_connections
    """Connections that are open at once, idle ones among them."""
    header_timeout_s: _Seconds = _DEFAULT.header_timeout_s
    """Until the headers of a request are whole."""
    body_timeout_s: _Seconds = _DEFAULT.body_timeout_s
    """Until its body is whole."""
    send_timeout_s: _Seconds = _DEFAULT.send_timeout_s
    """That a client may leave what it is sent unread."""
    deadline_s: _Seconds = _DEFAULT.deadline_s
    """Until a request is answered, retries and failover in it."""
    attempt_timeout_s: _Seconds = _DEFAULT.attempt_timeout_s
    """Of one call to a model, the whole of its answer in it."""
    first_token_timeout_s: _Seconds = _DEFAULT.first_token_timeout_s
    """Until a streamed answer of a model begins; then the next model is asked."""
    retries: Annotated[int, Field(ge=0, le=10)] = _DEFAULT.retries
    """How often a chain whose models all failed for a passing reason is gone through again."""
    keep_alive_s: _Seconds = _DEFAULT.keep_alive_s
    """That a connection may stay open without a request."""


class TraceSettings(Settings):
    """What is kept of requests."""

    folder: str = "traces"
    """Where their rows are written, relative to this file."""
    texts: TextMode = "none"
    """What is kept of prompts and answers: none, redacted (no personal data), or full."""
    redact: str | None = None
    """A function of yours, from text to text, for `texts: redacted`: package.module:function or file.py:function."""
    keep_days: _Count | None = None
    """Days after which they are removed; never when left out."""
    otel: bool = False
    """Whether they are sent as OpenTelemetry spans too, to where the variables OTEL_EXPORTER_OTLP_* say."""

    @model_validator(mode="after")
    def _would_be_called(self) -> Self:
        if self.redact is not None and self.texts != "redacted":
            raise ValueError("a function without `texts: redacted` would never be called")
        return self


class GatewaySettings(Settings):
    """A gateway.yaml."""

    schema_: Annotated[Literal["routebench/gateway/v1"], Field(alias="schema")] = "routebench/gateway/v1"
    """The version of this format."""
    keys: list[KeySettings] = []
    """Who may ask; without any, everybody on this machine and nobody else."""
    limits: Annotated[LimitSettings, Field(default_factory=LimitSettings)]
    """What no client may go beyond."""
    traces: Annotated[TraceSettings, Field(default_factory=TraceSettings)]
    """What is kept of requests."""
    shadow: str | None = None
    """Another rules.yaml, relative to this file; what it would have decided is in the traces, and nothing is sent."""

    @model_validator(mode="before")
    @classmethod
    def _says_nothing_by_nothing(cls, data: Any) -> Any:
        # A key whose lines below were all taken out says as little as one that is not there.
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


@dataclass(frozen=True, slots=True)
class Tracing:
    """What is kept of requests.

    Attributes:
        folder: where their rows are written.
        privacy: what is kept of texts.
        keep_days: after which they are removed; None for never.
        otel: whether they are sent as OpenTelemetry spans too.
    """

    folder: Path = Path("traces")
    privacy: Privacy = field(default_factory=lambda: Privacy("none"))
    keep_days: int | None = None
    otel: bool = False


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A checked gateway.yaml, with paths resolved.

    Attributes:
        path: of the file; None where there is none, and everything is at its default.
        shadow: the rules.yaml that decides in the shadow; None without one.
    """

    path: Path | None = None
    keys: tuple[Key, ...] = ()
    limits: Limits = _DEFAULT
    traces: Tracing = field(default_factory=Tracing)
    shadow: Path | None = None

    def check_models(self, models: Iterable[str]) -> None:
        """Checks that keys name models that there are.

        Args:
            models: of the rule set.

        Raises:
            ConfigError: they do not; every name that points nowhere is told with its place.
        """
        known = tuple(models)
        lost = [
            f"{key.where}: key {key.name!r}: no model {name!r}{nearest(name, known)}; models of the rule set: "
            f"{', '.join(known)}"
            for key in self.keys
            for name in sorted(key.models or ())
            if name not in known
        ]
        if lost:
            raise ConfigError("\n".join(lost))


def load_settings(path: str | Path | None) -> GatewayConfig:
    """Reads a gateway.yaml; without one, everything is at its default.

    Raises:
        ConfigError: the file cannot be read or used; every problem is named with its line and the mend.
    """
    if path is None:
        return GatewayConfig()
    path = Path(path)
    try:
        return parse_settings(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `routebench keys new NAME --config {path}` begins one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def parse_settings(text: str, path: Path) -> GatewayConfig:
    """Reads the text of a gateway.yaml.

    Args:
        text: of the file; an empty one has nothing to say.
        path: where it is; paths in it are relative to its folder.

    Raises:
        ConfigError: it cannot be used; every problem is named with its line and the mend.
    """
    try:
        source = parse_yaml(text, str(path))
        settings = GatewaySettings.model_validate({} if source.data is None else source.data)
    except ValidationError as error:
        raise ConfigError("\n".join(dict.fromkeys(describe(error, source, GatewaySettings)))) from None
    except InputError as error:
        raise ConfigError(str(error)) from None
    problems = list(_repeated(settings, source))
    if problems:
        raise ConfigError("\n".join(problems))
    return GatewayConfig(
        path=path,
        keys=tuple(_key(one, source.where(("keys", place))) for place, one in enumerate(settings.keys)),
        limits=Limits(**settings.limits.model_dump()),
        traces=_tracing(settings.traces, path.parent, source),
        shadow=None if settings.shadow is None else path.parent / settings.shadow,
    )


def gateway_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a gateway.yaml, for editors."""
    return json_schema(GatewaySettings, "gateway.yaml")


def _repeated(settings: GatewaySettings, source: YamlSource) -> Iterator[str]:
    for part, said in (("name", "traces and metrics tell keys by their names"), ("sha256", "each holder has its own")):
        seen: dict[str, str] = {}
        for place, key in enumerate(settings.keys):
            value = getattr(key, part)
            if value in seen:
                which = f"key {value!r} stands twice" if part == "name" else f"the same key as that of {seen[value]!r}"
                yield f"{source.where(('keys', place, part))}: {which}; {said}"
            seen.setdefault(value, key.name)


def _key(said: KeySettings, where: str) -> Key:
    rate = said.rate
    return Key(
        name=said.name,
        digest=bytes.fromhex(said.sha256),
        models=None if said.models is None else frozenset(said.models),
        requests_per_minute=None if rate is None else rate.requests_per_minute,
        burst=1 if rate is None else rate.burst or max(round(rate.requests_per_minute), 1),
        concurrency=said.concurrency,
        budget_usd_per_day=said.budget_usd_per_day,
        timezone=said.timezone,
        metadata=said.metadata,
        tags=tuple(said.tags),
        expires=said.expires,
        disabled=said.disabled,
        where=where,
    )


def _tracing(said: TraceSettings, folder: Path, source: YamlSource) -> Tracing:
    try:
        privacy = Privacy(said.texts, load_redactor(said.redact, folder))
    except ConfigError as error:
        raise ConfigError(f"{source.where(('traces', 'redact'))}: {error}") from None
    return Tracing(folder / said.folder, privacy, said.keep_days, said.otel)
