"""The ``landuse`` command. Each command loads what it needs when it is called, so that help is instant."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from landuse.core.errors import UserError, did_you_mean, user_errors

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
        parser = _parser()
        if given and not given[0].startswith("-") and given[0] not in _COMMANDS:
            raise UserError(f"no command {given[0]!r}{did_you_mean(given[0], _COMMANDS)}")
        options = parser.parse_args(given)
        if options.version:
            _version()
        elif options.command is None:
            parser.print_help()
        else:
            if options.command != "scene":
                _enter_root(options)
            options.run(options)


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


def _summary(_: argparse.Namespace) -> None:
    from landuse import summary

    print(summary.text())


def _track(_: argparse.Namespace) -> None:
    from landuse import params, tracking

    log_model = params.read().runtime.log_model
    print(f"MLflow has run {tracking.track(log_model=log_model)}: see it with 'mlflow ui'")


def _repair(_: argparse.Namespace) -> None:
    from landuse import repair

    for line in repair.run():
        print(f"landuse: {line}")


def _compare(options: argparse.Namespace) -> None:
    from landuse.core.files import write_text

    if len(options.revisions) not in (0, 2):
        raise UserError(f"compare takes two revisions or none, not {len(options.revisions)}: like 'main workspace'")
    if options.revisions and (options.to or options.by):
        raise UserError("--to and --by are about all experiments: name no revisions with them")
    if options.to and options.by:
        raise UserError("--by takes the largest value as the reference: leave --to out")
    if options.revisions:
        from landuse.comparison import pair_report

        first, second = options.revisions
        shown = pair_report.run(first, second, options.csv)
    elif options.by:
        from landuse.comparison import curve

        shown = curve.run(options.by, options.csv)
    else:
        from landuse.comparison import ranking

        shown = ranking.run(options.to, options.csv)
    if options.report is not None:
        write_text(options.report, shown(markdown=True) + "\n")
    print(shown(markdown=options.markdown))


def _lr_find(options: argparse.Namespace) -> None:
    from landuse import params
    from landuse.tuning import lr_find

    lr_find.run(params.read(changes=dict(options.changes)), options.phase)


def _cache(options: argparse.Namespace) -> None:
    from landuse import cache

    if options.prune:
        print(cache.prune(Path()))
    else:
        print("\n".join(cache.listing(Path())) or "nothing is kept")


def _speed(options: argparse.Namespace) -> None:
    from landuse import params
    from landuse.tuning import speed

    speed.run(params.read(changes=dict(options.changes)), options.compile)


def _tune(options: argparse.Namespace) -> None:
    from landuse.tuning import search

    search.run(options.trials)


def _scene(options: argparse.Namespace) -> None:
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name a new folder")
    from landuse.data.sources.sample.scene import write_scene

    write_scene(options.out, options.seed, options.size)
    print(f"wrote {options.out / 'scene.tif'} and {options.out / 'land_use.tif'}")


def _whole(low: int, high: int, unit: str = "") -> Callable[[str], int]:
    """Return what reads a whole number; a scene of 4096 pixels takes two gigabytes of memory."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number: give {low} to {high}") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]}{unit}: give {low} to {high}")
        return number

    return read


def _path(text: str) -> Path:
    if not text or any(len(part.encode()) > 255 for part in text.split("/")):
        raise argparse.ArgumentTypeError("the name of a file has 1 to 255 bytes")
    return Path(text)


def _change(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: give KEY=VALUE, like train.recipe=full")
    try:
        return key, yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: a number too long, a date that is none
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: the value is not YAML") from None


_CHANGES = {
    "-S": {"dest": "changes", "type": _change, "action": "append", "default": [], "metavar": "KEY=VALUE",
           "help": "a param to change for this test, as in 'dvc exp run'"},
}  # fmt: skip
_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], str, dict[str, dict[str, Any]]]] = {
    "summary": (_summary, "the last result in a few lines", {}),
    "track": (_track, "log the last result to MLflow, where that is not done yet", {}),
    "repair": (_repair, "put right what a full disk or a kill left half-written of DVC's files", {}),
    "compare": (_compare, "finished experiments: means over seeds, paired differences", {
        "revisions": {"metavar": "REV", "nargs": "*",
                      "help": "two git revisions, DVC experiments or 'workspace': is the second better?"},
        "--to": {"metavar": "NAME", "help": "the reference (default: the best on the validation tiles)"},
        "--by": {"metavar": "PARAM", "help": "draw results over a numeric param, like data.fraction"},
        "--csv": {"metavar": "FILE", "type": _path, "help": "write all numbers (of two: changed tiles) to a file"},
        "--markdown": {"action": "store_true", "help": "print Markdown"},
        "--report": {"metavar": "FILE", "type": _path, "help": "write Markdown to a file: for a pull request"},
    }),
    "scene": (_scene, "write a simulated Sentinel-2 scene with its true land-use map", {
        "out": {"metavar": "OUT", "type": _path, "help": "the folder to make"},
        "--seed": {"type": _whole(0, 2**32 - 1), "default": 7,
                   "help": "another number, another scene (default: %(default)s)"},
        "--size": {"type": _whole(64, 4096, " pixels"), "default": 1024, "metavar": "PX",
                   "help": "pixels a side (default: %(default)s)"},
    }),
    "lr-find": (_lr_find, "learning-rate range test: a curve and a suggestion for train.lr", {
        "--phase": {"metavar": "NAME", "help": "a phase of the recipe, on the initial weights (default: first)"},
        **_CHANGES,
    }),
    "cache": (_cache, "what is kept of frozen stages, and how much of the disk it takes", {
        "--prune": {"action": "store_true", "help": "remove all of it"},
    }),
    "speed": (_speed, "tiles/s on this machine in each precision, and the fastest choice", {
        "--compile": {"action": "store_true", "help": "measure train.compile too: it takes minutes"},
        **_CHANGES,
    }),
    "tune": (_tune, "search tune.space of params.yaml; goes on where it was stopped", {
        "--trials": {"type": _whole(1, 1_000_000), "metavar": "N", "help": "so many in all (default: tune.trials)"},
    }),
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="landuse", description="From labelled satellite tiles to a land-use classifier.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, (run, about, arguments) in _COMMANDS.items():
        command = commands.add_parser(name, help=about)
        command.set_defaults(run=run)
        for argument, settings in arguments.items():
            command.add_argument(argument, **settings)
    return parser
