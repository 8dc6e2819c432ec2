"""Gates of the calendar: models that end, and evidence that grows old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from routebench.checking.gates import Gate
from routebench.errors import ConfigError
from routebench.rules import RuleSet
from routebench.types import Model

_WARN = timedelta(days=30)


def retirement_gate(ruleset: RuleSet, at: datetime) -> Gate:
    """Fails where a model of the rule set answers no longer, and warns of those that end within 30 days.

    The date in the file counts before the one that the provider publishes.
    """
    ends = {name: _end(model, at) for name, model in ruleset.models.items()}
    today = at.date()
    gone = {name: end for name, end in ends.items() if end is not None and end <= today}
    soon = {name: end for name, end in ends.items() if end is not None and today < end <= today + _WARN}
    unknown = sum(end is None for end in ends.values())
    told = [f"{name} has been retired since {end}: route to another model" for name, end in gone.items()]
    told += [f"warning: {name} retires on {end}, in {(end - today).days} days" for name, end in soon.items()]
    if unknown == len(ends):
        return Gate("retirement", None, f"retirement: of none of its {unknown} models is a date known")
    if not told:
        told = ["no model retires within 30 days"]
    if unknown:
        told.append(f"of {unknown} of {len(ends)} models no date is known")
    return Gate("retirement", not gone, f"retirement: {'; '.join(told)}")


def age_gate(written: Mapping[str, Any], max_age_days: int, at: datetime) -> Gate:
    """Fails where the evidence is older than so many days, or does not say from when it is."""
    created = created_on(written)
    if created is None:
        reading = "age: `evidence.created` is missing or no date; `routebench tune` writes it"
        return Gate("age", ok=False, reading=reading)
    days = (at.date() - created).days
    reading = f"age: the evidence is of {created}, {days} days old, at most {max_age_days} wanted"
    mend = "; run the suite again, then tune"
    return Gate("age", days <= max_age_days, reading if days <= max_age_days else reading + mend)


def created_on(written: Mapping[str, Any]) -> date | None:
    """The day of the evidence, None where the file does not tell one."""
    value = written.get("created")
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _end(model: Model, at: datetime) -> date | None:
    if model.retires is not None:
        return model.retires
    try:
        from routebench.providers import with_defaults

        return with_defaults(model, at).retires
    except ConfigError:
        # Of imported outcomes the provider is not known.
        return None
    except ModuleNotFoundError as error:
        # The base install has no price book; golden decisions can be checked without one.
        if (error.name or "").partition(".")[0] == "routebench":
            raise
        return None
