"""The command line: thin faces of the library; texts for people, one JSON document with `--json`.

Exit codes: 0 done; 1 the measured thing fell short; 2 bad input, or it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from routebench import __version__
from routebench.cli.asking import add_asking
from routebench.cli.bringing import add_bringing
from routebench.cli.buying import add_buying
from routebench.cli.checking import add_checking
from routebench.cli.deciding import add_deciding
from routebench.cli.diffing import add_diffing
from routebench.cli.drifting import add_drifting
from routebench.cli.explaining import add_explaining
from routebench.cli.exporting import add_exporting
from routebench.cli.keeping import add_keeping
from routebench.cli.keying import add_keying
from routebench.cli.output import BAD, DONE, SHORT, Command
from routebench.cli.routing import add_routing
from routebench.cli.serving import add_serving
from routebench.cli.simulating import add_simulating
from routebench.errors import RoutebenchError

_OF_GATEWAY = ("httptools", "orjson", "prometheus_client", "starlette", "uvicorn")
"""Packages that nothing but the gateway needs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except RoutebenchError as error:
        _complain(arguments, str(error))
        return BAD
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "routebench":
            raise
        extra = "gateway" if error.name in _OF_GATEWAY else "lab"
        _complain(arguments, f"this command needs {error.name}: pip install 'routebench[{extra}]'")
        return BAD
    except KeyboardInterrupt:
        _complain(arguments, "interrupted; what was answered is kept, the same command goes on from there")
        return SHORT
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe; that is its right.
        sys.stderr.close()
        return DONE
    return code


def _complain(arguments: argparse.Namespace, message: str) -> None:
    if getattr(arguments, "json", False):
        print(json.dumps({"error": message}))
    print(f"routebench: {message}", file=sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of every command."""
    parser = argparse.ArgumentParser(
        prog="routebench", description="Find out which LLM routing rules are right for your prompts."
    )
    parser.add_argument("--version", action="version", version=f"routebench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--json", action="store_true", help="one JSON document on stdout")
        made.set_defaults(command=command)
        return made

    add_buying(add)
    add_bringing(add)
    add_keeping(add)
    add_deciding(add)
    add_explaining(add)
    add_checking(add)
    add_diffing(add)
    add_exporting(add)
    add_drifting(add)
    add_simulating(add)
    add_asking(add)
    add_routing(add)
    add_serving(add)
    add_keying(add)
    return parser
