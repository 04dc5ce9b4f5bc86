"""The parser. Each command loads what it needs when it is called, so that help is instant."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from landuse.cli import land, pipeline
from landuse.core.errors import UserError, did_you_mean, user_errors

_COMMANDS = pipeline.COMMANDS | land.COMMANDS
_LONGEST = 1000  # more is no name and no path; libraries trip over it


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print under its usage: one line is enough."""
        raise UserError(f"{message}; see '{self.prog} --help'")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake ends it with one line and exit code 2."""
    with user_errors():
        given = list(sys.argv[1:] if arguments is None else arguments)
        if any(len(word) > _LONGEST or "\0" in word for word in given):
            raise UserError(f"an argument has more than {_LONGEST} letters, or one that is no letter: shorten it")
        parser = _parser(given[:1])
        if given and not given[0].startswith("-") and given[0] not in _COMMANDS:
            raise UserError(f"no command {given[0]!r}{did_you_mean(given[0], _COMMANDS)}")
        options = parser.parse_args(given)
        if options.version:
            _version()
        elif options.command is None:
            parser.print_help()
        else:
            if options.command in pipeline.COMMANDS:
                _enter_root(options)
            with _extras(options.command):
                options.run(options)


@contextmanager
def _extras(command: str) -> Iterator[None]:
    """Name what to install where a library is missing: without extras there is what it takes to use a model."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "landuse").startswith("landuse"):
            raise
        raise UserError(f"'landuse {command}' needs {error.name}: pip install 'landuse[train]'") from None


def _enter_root(options: argparse.Namespace) -> None:
    """Work in the repository's root, wherever in it a command was typed; files that it names stay where they are."""
    from landuse.core.paths import workspace

    for name in ("csv", "report"):
        if getattr(options, name, None):
            setattr(options, name, getattr(options, name).resolve())
    os.chdir(workspace())


def _version() -> None:
    from importlib.metadata import version

    print(f"landuse {version('landuse')}")


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; of the commands, the one that was given knows its arguments."""
    parser = _Parser(prog="landuse", description="From labelled satellite tiles to a land-use classifier.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, (run, about, arguments) in _COMMANDS.items():
        parts = commands.add_parser(name, help=about)
        parts.set_defaults(run=run)
        if name in given:
            for argument, settings in (arguments() if callable(arguments) else arguments).items():
                parts.add_argument(argument, **settings)
    return parser
