"""Commands about the pipeline: they work in the repository's root, wherever in it they were typed."""

import argparse
from pathlib import Path

from landuse.cli.values import Command, change, path, whole
from landuse.core.errors import UserError


def _summary(_: argparse.Namespace) -> None:
    from landuse import summary

    print(summary.text())


def _track(_: argparse.Namespace) -> None:
    from landuse import params, tracking

    settings = params.read()
    run = tracking.track(log_model=settings.runtime.log_model, register=settings.export.register)
    print(f"MLflow has run {run}: see it with 'mlflow ui'")


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
    from landuse.storage import cache

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


_CHANGES = {
    "-S": {"dest": "changes", "type": change, "action": "append", "default": [], "metavar": "KEY=VALUE",
           "help": "a param to change for this test, as in 'dvc exp run'"},
}  # fmt: skip
COMMANDS: dict[str, Command] = {
    "summary": (_summary, "the last result in a few lines", {}),
    "track": (_track, "log the last result to MLflow, where that is not done yet", {}),
    "repair": (_repair, "put right what a full disk or a kill left half-written of DVC's files", {}),
    "compare": (_compare, "finished experiments: means over seeds, paired differences", {
        "revisions": {"metavar": "REV", "nargs": "*",
                      "help": "two git revisions, DVC experiments or 'workspace': is the second better?"},
        "--to": {"metavar": "NAME", "help": "the reference (default: the best on the validation tiles)"},
        "--by": {"metavar": "PARAM", "help": "draw results over a numeric param, like data.fraction"},
        "--csv": {"metavar": "FILE", "type": path, "help": "write all numbers (of two: changed tiles) to a file"},
        "--markdown": {"action": "store_true", "help": "print Markdown"},
        "--report": {"metavar": "FILE", "type": path, "help": "write Markdown to a file: for a pull request"},
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
        "--trials": {"type": whole(1, 1_000_000), "metavar": "N", "help": "so many in all (default: tune.trials)"},
    }),
}  # fmt: skip
