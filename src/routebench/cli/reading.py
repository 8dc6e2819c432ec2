"""What several commands read: the outcomes of a suite, from a store or a pack."""

from __future__ import annotations

import argparse
from typing import Any

from routebench.errors import InputError


def read_comparable(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Returns the store or pack that the arguments name, and the outcomes of its suite.

    Raises:
        InputError: the suite is a log in which one model answered each prompt.
    """
    from routebench.matrix import open_outcomes
    from routebench.store import log_source, open_store
    from routebench.suites.prompts import read_prompt_file

    store = open_store(arguments.store, lock_timeout_s=arguments.lock_timeout_s)
    prompts = None if arguments.prompts is None else read_prompt_file(arguments.prompts)
    outcomes = open_outcomes(store, arguments.suite, prompts=prompts)
    log = log_source(store, arguments.suite)
    if log is not None and outcomes.is_one_answer_a_case:
        form, files = log
        raise InputError(
            f"suite {arguments.suite!r} is a log: each of its {outcomes.n:,} prompts was answered by one model, so no "
            "two models can be compared on the same prompt. Draw a suite from it, and run that on several models:\n"
            f"  routebench suite from-logs {' '.join(files)} --format {form} --n 500 --out suite.jsonl"
        )
    return store, outcomes
