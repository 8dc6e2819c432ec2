"""Jobs that run the check in a team's own repository, for GitHub and GitLab."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

from routebench.errors import InputError

_FILES = {
    "github.yml.j2": Path(".github/workflows/routebench.yml"),
    "gitlab.yml.j2": Path(".gitlab/routebench.gitlab-ci.yml"),
}
_MAX_AGE_DAYS = 90


def lay_out_ci(
    out: Path,
    *,
    rules: str = "rules.yaml",
    store: str = "results/outcomes.rbpack",
    suite: str | None = None,
    notebooks: str = "notebooks",
    force: bool = False,
) -> list[Path]:
    """Writes the jobs into a folder, the root of a repository, and returns the paths of their files.

    Args:
        out: the folder.
        rules: the rules.yaml, from that folder; so are the other paths.
        store: the pack that is checked against.
        suite: whose outcomes; may be left out where the pack or store holds one suite, as every pack does.
        notebooks: the folder of the team's own notebooks, which are run without sending anything.
        force: whether files that are there are written over.

    Raises:
        InputError: files are there already, a path cannot stand in a script, or a file cannot be written.
    """
    for value in (rules, store, suite or "", notebooks):
        if not value.isprintable() or value.startswith("-"):
            raise InputError(f"init ci: {value!r} cannot stand in a script; give a plain path or name")
    wanted = {out / path: template for template, path in _FILES.items()}
    there = [str(path) for path in wanted if path.exists()]
    if there and not force:
        raise InputError(f"init ci: {', '.join(there)} would be written over; say so with --force, or move it away")
    check = ["routebench", "check", rules, "--store", store, *(() if suite is None else ("--suite", suite))]
    command = shlex.join([*check, "--max-age", str(_MAX_AGE_DAYS), "--junit", "routebench-junit.xml"])
    for path, template in wanted.items():
        text = _render(template, check=command, notebooks=shlex.quote(notebooks))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from None
    return list(wanted)


def _render(template: str, **values: str) -> str:
    import jinja2

    # Braces and dollars are the jobs' own.
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - shell words, quoted above
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        keep_trailing_newline=True,
    )
    source = (files("routebench.checking") / template).read_text(encoding="utf-8")
    return environment.from_string(source).render(values)
