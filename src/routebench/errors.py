"""Every error that routebench raises on purpose, in one tree.

RoutebenchError                what a caller may catch; the CLI turns it into one line and exit code 2
├── InputError                 something the user wrote is wrong: a file, a line, a name, a value
│   ├── ConfigError            bench.yaml or a model's settings
│   ├── SuiteError             a suite file or one of its rows
│   ├── RulesError             a rules.yaml, one problem or several
│   └── OutcomesError          outcomes that cannot be imported or compared
├── MissingDependencyError     an optional package is not installed
├── StoreError                 the store cannot be opened, written or migrated
│   ├── StoreLockedError       another process holds the store
│   └── JournalError           an answer cannot be written to disk
├── ProviderError              a provider could not start; a failed *call* is a row, not an exception
├── MissingCellsError          nothing may be sent, and answers are missing
├── StoppedError               somebody stopped what was being learned
├── NoEligibleModelError       guards and limits leave no model for a request
└── BudgetSpentError           the day's budget is used up, and the rule set says to refuse
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class RoutebenchError(Exception):
    """Base of all errors raised on purpose; its text says what happened, where, and the mend."""


class InputError(RoutebenchError):
    """Something the user wrote cannot be used."""


class ConfigError(InputError):
    """A bench.yaml, or a model described in one, cannot be used."""


class SuiteError(InputError):
    """A suite file, or one row of it, cannot be used."""


class RulesError(InputError):
    """A rules.yaml cannot be used.

    Attributes:
        problems: one sentence a problem, each with its line where one is known.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class OutcomesError(InputError):
    """Outcomes cannot be imported, or do not suffice for what was asked."""


class MissingDependencyError(RoutebenchError):
    """An optional package is needed and absent; the text holds the command that installs it."""


class StoreError(RoutebenchError):
    """The store cannot be opened, written or migrated."""


class StoreLockedError(StoreError):
    """Another process held the store for longer than the lock timeout."""


class JournalError(StoreError):
    """An answer could not be written to disk; the run ends, and what was reported before is kept."""


class ProviderError(RoutebenchError):
    """A provider could not be set up or started."""


class StoppedError(RoutebenchError):
    """Somebody stopped what was being learned; there is nothing of it."""


class MissingCellsError(RoutebenchError):
    """Nothing may be sent (cache mode `only`), and answers are missing."""


class NoEligibleModelError(RoutebenchError):
    """Guards, capabilities and limits leave no model that may take the request."""


class BudgetSpentError(RoutebenchError):
    """What a day may cost is spent, and the rule set refuses requests until the next one."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean 'x'?)` for the closest known name, or an empty string."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {match[0]!r}?)" if match else ""
