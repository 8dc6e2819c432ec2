"""The command that makes gateway keys, lists them and takes them back."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.cli.arguments import count, positive
from routebench.cli.output import DONE, Add, print_json
from routebench.errors import InputError

if TYPE_CHECKING:
    from routebench.gateway.keys import Key

_SHOWN = 8
"""Digits of a digest by which people tell keys apart."""
_OF_NEW = ("models", "rate", "burst", "concurrency", "budget", "timezone", "metadata", "tag", "expires")


def _keys(arguments: argparse.Namespace) -> int:
    if arguments.what != "new":
        for option in _OF_NEW:
            if getattr(arguments, option):
                raise InputError(f"keys {arguments.what}: --{option} is for `keys new`; take it out")
    if arguments.what == "list":
        if arguments.name is not None:
            raise InputError(f"keys list: takes no name; {arguments.name!r} is one too many")
        return _list(arguments)
    if arguments.name is None:
        raise InputError(f"keys {arguments.what}: say whose key it is: routebench keys {arguments.what} NAME")
    return _new(arguments) if arguments.what == "new" else _remove(arguments)


def _new(arguments: argparse.Namespace) -> int:
    from routebench.gateway.keyring import add_key
    from routebench.gateway.keys import digest_of, new_key

    if arguments.burst is not None and arguments.rate is None:
        raise InputError("--burst: is room above a rate; give --rate too")
    key = new_key()
    rate = {"requests_per_minute": arguments.rate, "burst": arguments.burst}
    entry: dict[str, Any] = {
        "name": arguments.name,
        "sha256": digest_of(key).hex(),
        "models": arguments.models,
        "rate": None if arguments.rate is None else {name: one for name, one in rate.items() if one is not None},
        "concurrency": arguments.concurrency,
        "budget_usd_per_day": arguments.budget,
        "timezone": arguments.timezone,
        "metadata": dict(arguments.metadata) or None,
        "tags": arguments.tag or None,
        "expires": arguments.expires,
    }
    add_key(arguments.config, {name: value for name, value in entry.items() if value is not None})
    if arguments.json:
        print_json({"name": arguments.name, "key": key, "config": str(arguments.config)})
    else:
        print(key)
        print(f"this is the only time that it is shown; {arguments.config} has its SHA-256 under {arguments.name!r}")
    return DONE


def _list(arguments: argparse.Namespace) -> int:
    from routebench.gateway.settings import load_settings

    keys = load_settings(arguments.config).keys
    if arguments.json:
        print_json({"config": str(arguments.config), "keys": [_as_dict(key) for key in keys]})
        return DONE
    if not keys:
        print(f"{arguments.config} has no keys: everybody on this machine may ask, and nobody else")
    for key in keys:
        print(f"{key.name}  {key.digest.hex()[:_SHOWN]}…  {'; '.join(_said(key))}")
    return DONE


def _remove(arguments: argparse.Namespace) -> int:
    from routebench.gateway.keyring import remove_key

    left = remove_key(arguments.config, arguments.name).keys
    if arguments.json:
        print_json({"name": arguments.name, "config": str(arguments.config), "n_left": len(left)})
    else:
        print(f"{arguments.config}: {arguments.name!r} is taken out; a gateway that runs refuses it once it has reread")
        if not left:
            print("it was the last: a gateway that runs takes nobody, one that is started everybody on this machine")
    return DONE


def _as_dict(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "sha256": key.digest.hex(),
        "models": None if key.models is None else sorted(key.models),
        "requests_per_minute": key.requests_per_minute,
        "burst": None if key.requests_per_minute is None else key.burst,
        "concurrency": key.concurrency,
        "budget_usd_per_day": key.budget_usd_per_day,
        "timezone": key.timezone,
        "metadata": dict(key.metadata),
        "tags": list(key.tags),
        "expires": None if key.expires is None else key.expires.isoformat(),
        "disabled": key.disabled,
    }


def _said(key: Key) -> list[str]:
    said = ["all models" if key.models is None else ", ".join(sorted(key.models))]
    if key.requests_per_minute is not None:
        said.append(f"{key.requests_per_minute:g} requests a minute")
    if key.concurrency is not None:
        said.append(f"{key.concurrency} at once")
    if key.budget_usd_per_day is not None:
        said.append(f"${key.budget_usd_per_day:g} a day ({key.timezone})")
    if key.metadata:
        said.append(", ".join(f"{name}={value}" for name, value in key.metadata.items()))
    if key.tags:
        said.append(f"tags {', '.join(key.tags)}")
    if key.expires is not None:
        said.append(f"until {key.expires}")
    if key.disabled:
        said.append("disabled")
    return said


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date such as 2027-01-31") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text}: write it as NAME=VALUE, such as data_class=eu_personal")
    return name, value


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def add_keying(add: Add) -> None:
    """Adds `keys`."""
    made = add("keys", _keys, "gateway keys: keys new NAME prints one and writes its hash; keys list; keys remove NAME")
    made.add_argument("what", choices=("new", "list", "remove"))
    made.add_argument("name", nargs="?", metavar="NAME", help="of its holder, such as support-bot")
    made.add_argument("--config", type=Path, default=Path("gateway.yaml"), help="the file (default gateway.yaml)")
    made.add_argument("--models", type=_names, metavar="a,b", help="new: the models that it may ask (default all)")
    made.add_argument("--rate", type=positive, metavar="N", help="new: requests a minute")
    made.add_argument("--burst", type=count, metavar="N", help="new: requests at once (default those of a minute)")
    made.add_argument("--concurrency", type=count, metavar="N", help="new: requests that are served at once")
    made.add_argument("--budget", type=positive, metavar="USD", help="new: US dollars a day")
    made.add_argument("--timezone", metavar="ZONE", help="new: whose midnight ends its day (default UTC)")
    made.add_argument(
        "--metadata",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="new: of all its requests, whatever the client says; may be given several times",
    )
    made.add_argument("--tag", action="append", metavar="TAG", help="new: of all its requests; several times")
    made.add_argument("--expires", type=_day, metavar="DATE", help="new: the last day on which it is good")
