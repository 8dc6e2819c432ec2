"""`routebench keys`: the file keeps its comments, and never sees a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from routebench.cli import main
from routebench.errors import ConfigError
from routebench.gateway.keyring import add_key, remove_key
from routebench.gateway.keys import digest_of
from routebench.gateway.settings import load_settings

KEPT = """\
# Our gateway.
schema: routebench/gateway/v1   # the first
keys:
    # the old one
    - name: old   # Ann's
      sha256: {digest}
      tags: [a,
             b]   # two
    # the end of the keys

limits:
  max_concurrency: 7  # a small machine
""".format(digest=digest_of("old").hex())


def entry(name: str = "new") -> dict[str, object]:
    return {"name": name, "sha256": digest_of(name).hex(), "models": ["small", "large"], "metadata": {"a": "b: c"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_comments_and_style_stay(path: Path, line_end: str) -> None:
    text = KEPT.replace("\n", line_end)
    path.write_bytes(text.encode())
    path.chmod(0o640)
    config = add_key(path, entry())
    assert [key.name for key in config.keys] == ["old", "new"]
    assert load_settings(path).keys == config.keys
    made = path.read_bytes().decode()
    at = made.index("    - name: new")
    end = made.index("    # the end of the keys")
    assert made[:at] + made[end:] == text
    assert ("\n" in made.replace("\r\n", "")) == (line_end == "\n")
    assert path.stat().st_mode & 0o777 == 0o640
    remove_key(path, "new")
    assert path.read_bytes().decode() == text


def test_taking_the_last_one_out_leaves_an_empty_list_that_can_grow(path: Path) -> None:
    path.write_text(KEPT)
    assert remove_key(path, "old").keys == ()
    made = path.read_text()
    assert "keys: []\n" in made
    assert "# the old one" in made
    assert "max_concurrency: 7  # a small machine" in made
    assert [key.name for key in add_key(path, entry()).keys] == ["new"]
    assert "max_concurrency: 7  # a small machine" in path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only this\n",
        "# only this",
        "schema: routebench/gateway/v1",
        "keys:\n",
        "keys:",
        "keys: []  # none yet\nlimits: {}\n",
        "keys: null\nlimits: {}\n",
        "keys: ~",
        "limits: {retries: 0}\n\n\n# the end\n",
        f"keys:\n- name: old\n  sha256: {digest_of('old').hex()}",
        f"keys:\n- {{name: old, sha256: {digest_of('old').hex()}}} # flow\nlimits: {{}}",
        f"limits: {{}}\nkeys:\n  - sha256: {digest_of('old').hex()}\n    name: 'old'\n    metadata:\n      x: y\n\n",
    ],
)
def test_every_form_of_a_file_can_be_added_to(path: Path, text: str) -> None:
    path.write_text(text)
    config = add_key(path, entry())
    assert config.keys[-1].name == "new"
    assert dict(config.keys[-1].metadata) == {"a": "b: c"}
    assert all(line in path.read_text() for line in text.splitlines() if "#" in line and "keys" not in line)
    if "old" in text:
        assert [key.name for key in remove_key(path, "old").keys] == ["new"]
        assert "old" not in path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        f"{{keys: [{{name: old, sha256: {digest_of('old').hex()}}}]}}",
        f"keys: [{{name: old, sha256: {digest_of('old').hex()}}}]\n",
        f"keys:\n  -\n    name: old\n    sha256: {digest_of('old').hex()}\n",
    ],
)
def test_other_forms_are_left_as_they_are(path: Path, text: str) -> None:
    path.write_text(text)
    for change in (lambda: remove_key(path, "old"),) + (() if "-\n" in text else (lambda: add_key(path, entry()),)):
        with pytest.raises(ConfigError, match=r"change it by hand|gateway.yaml"):
            change()
        assert path.read_text() == text


def test_what_cannot_be_used_changes_nothing(path: Path) -> None:
    path.write_text(KEPT)
    with pytest.raises(ConfigError, match="'old' stands twice"):
        add_key(path, {**entry("old")})
    with pytest.raises(ConfigError, match=r"no key 'olt' \(did you mean 'old'\?\)"):
        remove_key(path, "olt")
    assert path.read_text() == KEPT
    path.write_text("kes: []")
    with pytest.raises(ConfigError, match="unknown key 'kes'"):
        add_key(path, entry())
    assert [one.name for one in path.parent.iterdir()] == ["gateway.yaml"]


def test_a_link_stays_one(path: Path) -> None:
    real = path.with_name("real.yaml")
    real.write_text(KEPT)
    path.symlink_to(real)
    add_key(path, entry())
    assert path.is_symlink()
    assert "name: new" in real.read_text()


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["keys", *arguments]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def test_a_key_is_printed_once_and_written_never(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "small,large", "--rate", "90", "--burst", "5", "--concurrency", "2", "--budget", "2.5"]
    options += ["--timezone", "Europe/Berlin", "--metadata", "data_class=eu_personal", "--tag", "a", "--tag", "b"]
    printed = run(capsys, "new", "bot", "--config", str(path), *options, "--expires", "2027-01-31")
    key = printed.splitlines()[0]
    assert key not in path.read_text()
    (kept,) = load_settings(path).keys
    assert kept.digest == digest_of(key)
    assert (kept.requests_per_minute, kept.burst, kept.concurrency, kept.budget_usd_per_day) == (90, 5, 2, 2.5)
    told = json.loads(run(capsys, "list", "--config", str(path), "--json"))
    assert told["keys"] == [
        {
            "name": "bot", "sha256": digest_of(key).hex(), "models": ["large", "small"], "requests_per_minute": 90.0,
            "burst": 5, "concurrency": 2, "budget_usd_per_day": 2.5, "timezone": "Europe/Berlin",
            "metadata": {"data_class": "eu_personal"}, "tags": ["a", "b"], "expires": "2027-01-31", "disabled": False,
        }
    ]  # fmt: skip
    for line in (run(capsys, "list", "--config", str(path)), json.dumps(told)):
        assert key not in line
    assert "90 requests a minute" in run(capsys, "list", "--config", str(path))


def test_keys_for_machines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(run(capsys, "new", "bot", "--config", str(path), "--json"))
    assert load_settings(path).keys[0].digest == digest_of(made["key"])
    assert json.loads(run(capsys, "remove", "bot", "--config", str(path), "--json"))["n_left"] == 0
    assert "everybody on this machine" in run(capsys, "list", "--config", str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new"], "whose key it is"),
        (["remove"], "whose key it is"),
        (["list", "bot"], "takes no name"),
        (["remove", "bot", "--rate", "5"], "--rate is for `keys new`"),
        (["new", "bot", "--burst", "5"], "give --rate too"),
        (["new", "a b"], "letters, digits"),
        (["new", "bot", "--timezone", "Berlin"], "no time zone"),
        (["list"], "no such file"),
        (["remove", "bot"], "no such file"),
    ],
)
def test_what_is_asked_wrongly(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in run(capsys, *arguments, "--config", str(path), code=2)
    assert not path.exists()
