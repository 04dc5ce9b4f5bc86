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
        parser, commands = _parser()
        if given and not given[0].startswith("-") and given[0] not in commands:
            raise UserError(f"no command {given[0]!r}{did_you_mean(given[0], commands)}")
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


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = _Parser(prog="landuse", description="From labelled satellite tiles to a land-use classifier.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")

    summary = commands.add_parser("summary", help="the last result in a few lines")
    summary.set_defaults(run=_summary)

    track = commands.add_parser("track", help="log the last result to MLflow, where that is not done yet")
    track.set_defaults(run=_track)

    repair = commands.add_parser("repair", help="put right what a full disk or a kill left half-written of DVC's files")
    repair.set_defaults(run=_repair)

    compare = commands.add_parser("compare", help="finished experiments: means over seeds, paired differences")
    compare.add_argument("revisions", metavar="REV", nargs="*",
                         help="two git revisions, DVC experiments or 'workspace': is the second better?")  # fmt: skip
    compare.add_argument("--to", metavar="NAME", help="the reference (default: the best on the validation tiles)")
    compare.add_argument("--by", metavar="PARAM", help="draw results over a numeric param, like data.fraction")
    compare.add_argument(
        "--csv", metavar="FILE", type=_path, help="write all numbers (of two: changed tiles) to a file"
    )
    compare.add_argument("--markdown", action="store_true", help="print Markdown")
    compare.add_argument("--report", metavar="FILE", type=_path, help="write Markdown to a file: for a pull request")
    compare.set_defaults(run=_compare)

    scene = commands.add_parser("scene", help="write a simulated Sentinel-2 scene with its true land-use map")
    scene.add_argument("out", metavar="OUT", type=_path, help="the folder to make")
    scene.add_argument(
        "--seed", type=_whole(0, 2**32 - 1), default=7, help="another number, another scene (default: %(default)s)"
    )
    scene.add_argument(
        "--size",
        type=_whole(64, 4096, " pixels"),
        default=1024,
        metavar="PX",
        help="pixels a side (default: %(default)s)",
    )
    scene.set_defaults(run=_scene)

    find = commands.add_parser("lr-find", help="learning-rate range test: a curve and a suggestion for train.lr")
    find.add_argument("--phase", metavar="NAME", help="a phase of the recipe, on the initial weights (default: first)")
    _add_changes(find)
    find.set_defaults(run=_lr_find)

    cache = commands.add_parser("cache", help="what is kept of frozen stages, and how much of the disk it takes")
    cache.add_argument("--prune", action="store_true", help="remove all of it")
    cache.set_defaults(run=_cache)

    speed = commands.add_parser("speed", help="tiles/s on this machine in each precision, and the fastest choice")
    speed.add_argument("--compile", action="store_true", help="measure train.compile too: it takes minutes")
    _add_changes(speed)
    speed.set_defaults(run=_speed)

    tune = commands.add_parser("tune", help="search tune.space of params.yaml; goes on where it was stopped")
    tune.add_argument("--trials", type=_whole(1, 1_000_000), metavar="N", help="so many in all (default: tune.trials)")
    tune.set_defaults(run=_tune)
    return parser, list(commands.choices)


def _add_changes(command: argparse.ArgumentParser) -> None:
    command.add_argument("-S", dest="changes", type=_change, action="append", default=[], metavar="KEY=VALUE",
                         help="a param to change for this test, as in 'dvc exp run'")  # fmt: skip


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
