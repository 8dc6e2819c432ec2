"""The command that serves a rule set as a gateway."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from pathlib import Path

from routebench.cli.output import DONE, Add, print_json

_LAST_PORT = 65_535


def _serve(arguments: argparse.Namespace) -> int:
    from routebench.gateway import Gateway

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    gateway = Gateway(
        arguments.rules,
        config=arguments.config,
        host=arguments.host,
        port=arguments.port,
        shadow=arguments.shadow,
        traces=arguments.traces,
        drain_s=arguments.drain_s,
    )

    def ready() -> None:
        ruleset = gateway.ruleset
        if arguments.json:
            print_json({"url": gateway.url, "rules": ruleset.name, "traces": str(gateway.traces_folder)})
        else:
            n = len(gateway.config.keys)
            keys = f"{n} {'key' if n == 1 else 'keys'}" if n else "no keys: this machine only"
            print(f"{ruleset.name} is served at {gateway.url} ({len(ruleset.order)} models, {keys})")
            print(f"traces: {gateway.traces_folder}; Ctrl-C ends it, SIGHUP or a changed file reloads it")
        sys.stdout.flush()

    gateway.run(ready)
    return DONE


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port; write one up to {_LAST_PORT}, or 0 for any that is free")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is no time to wait; write seconds, 0 for none")
    return value


def add_routing(add: Add) -> None:
    """Adds `serve`."""
    made = add("serve", _serve, "serve a rule set as an OpenAI-compatible gateway")
    made.add_argument("rules", type=Path, metavar="rules.yaml")
    made.add_argument("--config", type=Path, metavar="gateway.yaml", help="keys, limits, what traces keep")
    made.add_argument("--host", default="127.0.0.1", help="the interface; another than this machine's needs keys")
    made.add_argument("--port", type=_port, default=8080, help="0 for any that is free (default 8080)")
    made.add_argument("--shadow", type=Path, metavar="NEW.yaml", help="also write down what this one would decide")
    made.add_argument("--traces", type=Path, metavar="DIR", help="where a row for every request goes (default traces)")
    made.add_argument(
        "--drain-s", type=_seconds, default=30.0, help="longest wait for requests when it ends (default 30)"
    )
