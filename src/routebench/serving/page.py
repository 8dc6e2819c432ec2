"""The one page of a dashboard: what it shows, as a notebook of one cell."""

from __future__ import annotations

import html
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from routebench.bench import Bench, utc_now
from routebench.config import load_config
from routebench.demonstration import TODAY, lay_out, recording
from routebench.errors import InputError, RoutebenchError, StoreError
from routebench.providers import find_secrets, with_defaults
from routebench.run import Purse
from routebench.store import Store, is_pack

NOTEBOOK, SETTINGS = "cockpit.ipynb", "page.json"
_PURSE = "purse.json"
_CODE = f"from routebench.serving.page import open_page\nopen_page({SETTINGS!r})"


@dataclass(frozen=True, slots=True)
class Page:
    """What a dashboard shows.

    Attributes:
        config: the bench.yaml.
        rules: a rules.yaml whose coverage the suite browser shows.
        today: decisions of the router that runs today.
        traces: the folder that a gateway writes its traces to.
        recorded: a recording that answers in place of every provider.
        cap_usd: the most that all runs may cost together, in US dollars; None where nothing is sent.
        demo: whether it is marked DEMO: its answers were recorded.
    """

    config: str
    rules: str | None = None
    today: str | None = None
    traces: str | None = None
    recorded: str | None = None
    cap_usd: float | None = None
    demo: bool = False

    @classmethod
    def of(
        cls,
        config: Path,
        *,
        rules: Path | None = None,
        today: Path | None = None,
        traces: Path | None = None,
        cap_usd: float | None = None,
    ) -> Page:
        """Looks at the files before a server is started, so that a mistake shows at once.

        Raises:
            ConfigError: the bench.yaml cannot be used.
            InputError: one of the other files is not there.
            StoreError: nothing may be sent, and there is no store with answers to show.
        """
        store = load_config(config).store_path
        for path in (rules, today):
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file")
        if cap_usd is None and not store.is_file():
            raise StoreError(
                f"store {store}: no such file, so there is nothing to show; `routebench run {config}` first"
            )
        return cls(
            str(config.resolve()),
            rules=None if rules is None else str(rules.resolve()),
            today=None if today is None else str(today.resolve()),
            # Which need not be there yet.
            traces=None if traces is None else str(traces.resolve()),
            cap_usd=cap_usd,
        )

    @property
    def read_only(self) -> bool:
        """Whether it only shows what is known."""
        return self.cap_usd is None

    @property
    def reading(self) -> str:
        """What a visitor may do, in a sentence."""
        if self.cap_usd is None:
            return "it only shows: nothing is sent, written or exported from its pages"
        return f"its pages may run, all together for at most ${self.cap_usd:g}, and export"

    def key_names(self) -> set[str]:
        """The environment variables that its models and judges need."""
        config, names = load_config(self.config), set[str]()
        models = [with_defaults(model, utc_now()) for model in (*config.models, *config.judges)]

        def note(name: str) -> str:
            names.add(name)
            return name

        find_secrets(models, note)
        return names

    def write(self, folder: Path) -> Path:
        """Writes the notebook and its settings into a folder, and returns the notebook's path."""
        (folder / SETTINGS).write_text(json.dumps(asdict(self)), encoding="utf-8")
        notebook = folder / NOTEBOOK
        notebook.write_text(json.dumps(_notebook()), encoding="utf-8")
        return notebook

    def open(self, folder: Path) -> Bench:
        """Opens its bench: on a copy of the store where nothing may be written, on the store itself where runs may.

        Args:
            folder: where the copy and the purse go.

        Raises:
            ConfigError, SuiteError, StoreError: as `Bench`.
        """
        store = load_config(self.config).store_path
        if self.read_only and not is_pack(store):
            store = Store.snapshot(store, tempfile.mkdtemp(prefix=_copy_prefix(_kernel()), dir=folder)).path
        return Bench(
            self.config, store=store, recorded=self.recorded, purse=Purse(folder / _PURSE, self.cap_usd or 0.0)
        )


def demonstration_page(folder: Path) -> Page:
    """Lays the demonstration out in a folder, answers it from its recording, and returns its page."""
    lay_out(folder)
    bench = Bench(folder / "bench.yaml", recorded=recording())
    bench.run().wait()
    return Page(str(bench.config.path), today=str(folder / TODAY), demo=True)


def copies_of(folder: Path, kernel: str) -> list[Path]:
    """The folders of what a kernel has copied to work on."""
    return list(folder.glob(f"{_copy_prefix(kernel)}*"))


def _copy_prefix(kernel: str) -> str:
    return f"store-{kernel}-"


def _kernel() -> str:
    """The id of the kernel that this is; an empty string where it is none."""
    from ipykernel.kernelapp import IPKernelApp

    if not IPKernelApp.initialized():
        return ""
    return Path(IPKernelApp.instance().connection_file).stem.removeprefix("kernel-")


def open_page(settings: str) -> Any:
    """Opens the cockpit of a page, or says in two lines why it cannot be opened; called by the page's notebook."""
    from routebench.dash.cockpit import cockpit

    path = Path(settings).resolve()
    page = Page(**json.loads(path.read_text(encoding="utf-8")))
    try:
        bench = page.open(path.parent)
        return cockpit(
            bench,
            rules=page.rules,
            today=page.today,
            traces=page.traces,
            read_only=page.read_only,
            cap_usd=page.cap_usd,
            folder=None if page.read_only else Path(page.config).parent,
            demo=page.demo,
        )
    except RoutebenchError as error:
        return _Refusal(str(error))


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why there is no cockpit, where it would stand."""

    sentence: str

    def _repr_html_(self) -> str:
        return (
            f"<div role='alert'><p>This dashboard cannot be opened: {html.escape(self.sentence)}</p>"
            "<p>Mend it, then load the page again.</p></div>"
        )


def _notebook() -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "cockpit",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "title": "routebench",
        },
        "cells": [{**cell, "source": _CODE}],
    }
