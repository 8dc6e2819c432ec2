"""bench.yaml: a suite, models, limits and a budget, checked before anything is sent."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from routebench.classes import Protection
from routebench.errors import ConfigError, InputError, nearest
from routebench.redact import Privacy, TextMode, load_redactor
from routebench.types import Message, Model, Price
from routebench.yaml_source import YamlSource, parse_yaml

_Day = date
_Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[int, Field(gt=0)]


class Settings(BaseModel):
    """Base of everything that a user writes in YAML: an unknown key is an error."""

    # Built at first use: a process that only imports the rules room should not wait for every format.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class PriceTierSettings(Settings):
    """Rates of a long prompt; they hold for every token of such a call."""

    above_input_tokens: _Positive
    """For calls with more tokens of input than this."""
    input_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens."""
    output_usd_per_mtok: _Usd | None = None
    """US dollars for a million output tokens."""
    cached_input_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens read from the provider's cache."""
    cache_write_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens written to the provider's cache."""


class PriceSettings(Settings):
    """What a model charges; leave a price out when you do not know it."""

    input_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens."""
    output_usd_per_mtok: _Usd | None = None
    """US dollars for a million output tokens."""
    cached_input_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens read from the provider's cache."""
    cache_write_usd_per_mtok: _Usd | None = None
    """US dollars for a million input tokens written to the provider's cache."""
    usd_per_request: _Usd | None = None
    """US dollars for every request."""
    cpu_usd_per_hour: _Usd | None = None
    """Nominal US dollars for an hour of CPU time of a local model."""
    tiers: list[PriceTierSettings] = []
    """Other rates for long prompts, shortest first."""


class ModelSettings(Settings):
    """A model: a provider, a model id and the parameters around it."""

    provider: str
    """Which adapter speaks to it, such as `openai`."""
    model: str
    """The provider's id of the model."""
    base_url: str | None = None
    """Where an OpenAI-compatible server listens, with its `/v1`."""
    key_env: str | None = None
    """The environment variable that holds the key; the key itself is never written."""
    params: dict[str, Any] = {}
    """Request parameters, such as temperature and max_tokens."""
    system: str | None = None
    """A system prompt, for requests that bring none."""
    few_shot: str | list[dict[str, Any]] | None = None
    """Demonstrations: a JSON Lines file of messages, or the messages themselves."""
    price: PriceSettings | None = None
    """What it charges."""
    context_window: _Positive | None = None
    """Tokens that fit into its context."""
    max_output: _Positive | None = None
    """Tokens that it can answer."""
    capabilities: list[Literal["tools", "json_schema", "vision"]] | None = None
    """What it can do; left out means unknown, and unknown is not refused."""
    region: str | None = None
    """Where it runs."""
    retires: _Day | None = None
    """The day on which it ends, where you know it."""


class NamedModelSettings(ModelSettings):
    """A model of a bench.yaml."""

    name: Annotated[str, Field(min_length=1)]
    """What suites, strategies and rules call it."""


class SuiteSettings(Settings):
    """A suite file whose columns have other names."""

    path: str
    """The file."""
    name: str | None = None
    """The suite's name, else the file's stem."""
    fields: dict[str, str] | None = None
    """Our field -> the file's column."""
    seal: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the groups that only `check --final` may look at."""


class StoreSettings(Settings):
    """Where answers are kept, and what of their texts."""

    path: str | None = None
    """The DuckDB file; results/<this file's stem>.duckdb when left out."""
    text: TextMode = "full"
    """What is kept of prompts and answers: full, redacted (no personal data), or none."""
    redact: str | None = None
    """A function of yours, from text to text, for `text: redacted`: package.module:function or file.py:function."""


class ProviderLimits(Settings):
    """Limits of one provider, for each of its accounts."""

    max_concurrency: _Positive | None = None
    """Calls in flight at once."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    """Requests begun in a minute, evenly spread."""


class LimitSettings(Settings):
    """How fast a run may go."""

    max_concurrency: _Positive = 64
    """Calls in flight at once, per provider and account; the limit adapts itself below this."""
    initial_concurrency: _Positive = 16
    """Where that limit begins; it grows as long as the provider refuses nothing."""
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest time for one attempt."""
    max_attempts: _Positive = 4
    """Attempts for one call, the first included."""
    per_provider: dict[str, ProviderLimits] = {}
    """Limits of single providers."""


class ProtectSettings(Settings):
    """A class of requests that only some models may answer, whatever a tuned rule set would do."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """Of the guard that keeps to it; the class's own name when left out."""
    category: Annotated[str, Field(min_length=1)] | None = None
    """The category of its cases; a guard that recognises them by their text is learned."""
    tag: Annotated[str, Field(min_length=1)] | None = None
    """A tag that callers send along with such requests."""
    at_least: str | None = None
    """The weakest model that may answer, by the order of `models`."""
    only: Annotated[list[str], Field(min_length=1)] | None = None
    """The models that may answer."""
    min_recall: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Share of the class that the guard has to recognise, with 95 % confidence."""

    @model_validator(mode="after")
    def _is_one_class_and_one_demand(self) -> Self:
        if (self.category is None) == (self.tag is None):
            raise ValueError("a protected class is either a `category` or a `tag`")
        if (self.at_least is None) == (self.only is None):
            raise ValueError("a protected class says who may answer: either `at_least` or `only`")
        if self.tag is not None and "min_recall" in self.model_fields_set:
            raise ValueError("a tag is seen on every request that has it: leave `min_recall` out")
        return self


class BenchSettings(Settings):
    """A bench.yaml."""

    schema_: Annotated[Literal["routebench/bench/v1"], Field(alias="schema")] = "routebench/bench/v1"
    """The version of this format."""
    suite: str | SuiteSettings
    """The suite file, relative to this file."""
    store: str | StoreSettings | None = None
    """The DuckDB file; results/<this file's stem>.duckdb when left out."""
    models: Annotated[list[NamedModelSettings], Field(min_length=1)]
    """The models to run."""
    judges: list[NamedModelSettings] = []
    """Models that grade answers for the grader `judge`; they are not candidates for routing."""
    guards: list[dict[str, Any]] = []
    """Guards that every tuned rule set must carry, in the form of a rules.yaml."""
    stakes_usd: dict[str, _Usd] = {}
    """Category or tag -> US dollars that a wrong answer costs, for cases that do not say it themselves."""
    protect: list[ProtectSettings] = []
    """Classes of requests that only some models may answer, whatever a tuned rule set would do."""
    samples: _Positive = 1
    """Independent answers for every case and model."""
    limits: Annotated[LimitSettings, Field(default_factory=LimitSettings)]
    """How fast a run may go."""
    budget_usd: _Usd | None = None
    """Hard cap on what a run is billed."""


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """A checked bench.yaml, with paths resolved and models as values.

    Attributes:
        guards: those that are written, and one for every protected tag.
        stakes_usd: category or tag -> US dollars that a wrong answer costs.
        stakes_where: category or tag -> its place in the file, for messages.
    """

    path: Path
    suite_path: Path
    suite_name: str | None
    suite_fields: Mapping[str, str] | None
    seal: float
    store_path: Path
    privacy: Privacy
    models: tuple[Model, ...]
    judges: tuple[Model, ...]
    guards: tuple[Mapping[str, Any], ...]
    stakes_usd: Mapping[str, float]
    stakes_where: Mapping[str, str]
    protect: tuple[Protection, ...]
    samples: int
    limits: LimitSettings
    budget_usd: float | None


def load_config(path: str | Path) -> BenchConfig:
    """Reads a bench.yaml.

    Raises:
        ConfigError: the file cannot be read or used; every problem is named with its line and the mend.
    """
    path = Path(path)
    settings, source = _read(path, BenchSettings)
    folder = path.parent
    suite = SuiteSettings(path=settings.suite) if isinstance(settings.suite, str) else settings.suite
    store = settings.store if isinstance(settings.store, StoreSettings) else StoreSettings(path=settings.store)
    protect = _protect(settings, source)
    return BenchConfig(
        path=path,
        suite_path=folder / suite.path,
        suite_name=suite.name,
        suite_fields=suite.fields,
        seal=suite.seal,
        store_path=folder / store.path if store.path else Path("results") / f"{path.stem}.duckdb",
        privacy=_privacy(store, folder, source),
        models=_models("models", settings.models, source, folder),
        judges=_models("judges", settings.judges, source, folder),
        guards=(*settings.guards, *(one.guard({"tag": one.tag}) for one in protect if one.tag is not None)),
        stakes_usd=settings.stakes_usd,
        stakes_where={label: source.where(("stakes_usd", label)) for label in settings.stakes_usd},
        protect=protect,
        samples=settings.samples,
        limits=settings.limits,
        budget_usd=settings.budget_usd,
    )


def _protect(settings: BenchSettings, source: YamlSource) -> tuple[Protection, ...]:
    """The protected classes, each with a name that no other guard has."""
    models = [model.name for model in settings.models]
    taken = {str(guard.get("name")) for guard in settings.guards}
    found = []
    for place, one in enumerate(settings.protect):
        for name in [one.at_least] if one.only is None else one.only:
            if name not in models:
                key = source.where(("protect", place, "at_least" if one.only is None else "only"))
                raise ConfigError(
                    f"{key}: no model {name!r}{nearest(str(name), models)}; there are {', '.join(models)}"
                )
        name = one.name or one.category or str(one.tag)
        where = source.where(("protect", place))
        if name in taken:
            raise ConfigError(f"{where}: a guard is called {name!r} already; give this one another `name`")
        taken.add(name)
        only = tuple(one.only or ()) or None
        found.append(Protection(name, one.category, one.tag, one.at_least, only, one.min_recall, where))
    return tuple(found)


def _privacy(store: StoreSettings, folder: Path, source: YamlSource) -> Privacy:
    if store.redact is not None and store.text != "redacted":
        raise ConfigError(
            f"{source.where(('store', 'redact'))}: a function without `text: redacted` would never be called"
        )
    try:
        return Privacy(store.text, load_redactor(store.redact, folder))
    except ConfigError as error:
        raise ConfigError(f"{source.where(('store', 'redact'))}: {error}") from None


_Root = TypeVar("_Root", bound=Settings)


def _read(path: Path, root: type[_Root]) -> tuple[_Root, YamlSource]:
    try:
        source = parse_yaml(path.read_text(encoding="utf-8"), str(path))
        return root.model_validate(source.data), source
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `routebench demo` writes one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        raise ConfigError("\n".join(describe(error, source, root))) from None
    except InputError as error:
        raise ConfigError(str(error)) from None


def describe(error: ValidationError, source: YamlSource, root: type[BaseModel]) -> list[str]:
    """Returns one sentence a problem, each with its place in the file and the mend.

    Args:
        error: what pydantic found.
        source: the document.
        root: the settings class of the whole document.
    """
    problems = error.errors(include_url=False)
    return [f"{source.where(problem['loc'])}: {_sentence(problem, root)}" for problem in problems]


def to_model(name: str, settings: ModelSettings, few_shot: Sequence[Message]) -> Model:
    """Turns settings into a Model."""
    price = None if settings.price is None else Price.from_dict(settings.price.model_dump())
    return Model(
        name=name,
        provider=settings.provider,
        model=settings.model,
        base_url=settings.base_url,
        key_env=settings.key_env,
        params=settings.params,
        system=settings.system,
        few_shot=tuple(few_shot),
        price=price,
        price_source=_price_source(price),
        context_window=settings.context_window,
        max_output=settings.max_output,
        capabilities=None if settings.capabilities is None else frozenset(settings.capabilities),
        region=settings.region,
        retires=settings.retires,
    )


def _price_source(price: Price | None) -> str | None:
    if price is None:
        return None
    return "nominal CPU rate" if price.cpu_usd_per_hour is not None else "user"


def _models(key: str, settings: Sequence[NamedModelSettings], source: YamlSource, folder: Path) -> tuple[Model, ...]:
    models: dict[str, Model] = {}
    for index, one in enumerate(settings):
        where = source.where((key, index, "name"))
        if one.name in models:
            raise ConfigError(f"{where}: model {one.name!r} stands twice; give each configuration its own name")
        shots = source.where((key, index, "few_shot"))
        models[one.name] = to_model(one.name, one, _few_shot(one.few_shot, folder, shots))
    return tuple(models.values())


def _few_shot(value: str | list[dict[str, Any]] | None, folder: Path, where: str) -> list[Message]:
    if value is None:
        return []
    if isinstance(value, list):
        return list(value)
    path = folder / value
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ConfigError(f"{where}: few-shot file {path} cannot be read ({error.strerror})") from None
    messages: list[Message] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            message = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{number}: not valid JSON ({error.msg})") from None
        if not isinstance(message, dict) or "role" not in message or "content" not in message:
            raise ConfigError(f'{path}:{number}: a demonstration is {{"role": …, "content": …}}')
        messages.append(message)
    return messages


def _sentence(problem: Any, root: type[BaseModel]) -> str:
    kind, location = problem["type"], problem["loc"]
    key = str(location[-1]) if location else ""
    if kind == "extra_forbidden" and key == "currency":
        return "prices here are US dollars: convert them and take `currency` out"
    if kind == "extra_forbidden":
        known = _known_keys(root, location)
        return f"unknown key {key!r}{nearest(key, known)}; known here: {', '.join(known)}"
    if kind == "missing":
        return f"`{key}` is missing"
    if kind == "greater_than_equal" and {"price", "prices"} & set(location):
        return f"`{key}` is {problem['input']!r}; a price is not negative, and an unknown one is left out"
    if kind in ("model_type", "dict_type") and not location:
        return f"the file is not a mapping with keys such as {', '.join(_keys(root)[:4])}"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    return f"`{key}`: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _known_keys(root: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys of the settings class that a place in the file belongs to."""
    owners = _owners(root)
    for part in reversed(location[:-1]):
        if isinstance(part, str) and part in owners:
            return _keys(owners[part])
    return _keys(root)


def _owners(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Key -> the settings class of its value, for every key below a root."""
    found: dict[str, type[BaseModel]] = {}
    waiting = [root]
    while waiting:
        for name, field in waiting.pop().model_fields.items():
            key = field.alias or name
            for inner in _settings_in(field.annotation):
                if key not in found:
                    found[key] = inner
                    waiting.append(inner)
    return found


def _settings_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for argument in get_args(annotation) for inner in _settings_in(argument)]


def _keys(settings: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in settings.model_fields.items()]


class PriceListSettings(Settings):
    """A file of prices for `routebench reprice`."""

    prices: Annotated[dict[str, PriceSettings], Field(min_length=1)]
    """A model's name in the store -> what it charges."""
    date: _Day | None = None
    """The day that the prices are for, such as 2026-11-24; today when left out."""


def load_prices(path: str | Path, today: date) -> tuple[dict[str, Price], date]:
    """Reads a file of prices: model name -> price, and the day that they are for.

    Raises:
        ConfigError: the file cannot be read or used; every problem is named with its line and the mend.
    """
    path = Path(path)
    settings = _read(path, PriceListSettings)[0]
    prices = {name: Price.from_dict(one.model_dump()) for name, one in settings.prices.items()}
    return prices, settings.date or today


def bench_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a bench.yaml, for editors."""
    return json_schema(BenchSettings, "bench.yaml")


def json_schema(root: type[BaseModel], title: str) -> dict[str, Any]:
    """Returns the JSON Schema of a settings class; the docstring under each field is its description.

    Pydantic can read those docstrings too, but does so whenever the module is imported, which costs 100 ms.
    """
    schema = root.model_json_schema(by_alias=True)
    schemas = {root.__name__: schema, **schema.get("$defs", {})}
    for settings in {root, *_owners(root).values()}:
        properties = schemas[settings.__name__]["properties"]
        for name, text in _docstrings(settings).items():
            field = settings.model_fields[name]
            properties[field.alias or name]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _docstrings(settings: type[BaseModel]) -> dict[str, str]:
    import ast
    import inspect

    (owner,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(owner, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in itertools.pairwise(owner.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
        and field.target.id in settings.model_fields
    }
