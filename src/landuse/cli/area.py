"""The commands ``area`` and ``sample``: hectares of a map, and cells of it to be labelled."""

import argparse

from landuse.cli.values import Command, path, whole


def _area(options: argparse.Namespace) -> None:
    from landuse.inference.area.report import report

    print(*report(options.map, options.labels, options.out, options.seed), sep="\n")


def _sample(options: argparse.Namespace) -> None:
    from landuse.inference.area.drawing import write_sample

    print(*write_sample(options.map, options.out, options.size, options.seed), sep="\n")


_MAP = {"metavar": "MAP", "type": path, "help": "a folder that 'landuse map' made"}
_SEED = {"type": whole(0, 2**32 - 1), "default": 0, "metavar": "N"}
AREA: Command = (_area, "hectares of each class of a map, with their errors", {
    "map": _MAP,
    "--labels": {"metavar": "FILE", "type": path,
                 "help": "cells of 'landuse sample' that people labelled: labels.csv, or the GeoPackage filled in"},
    "--out": {"metavar": "FILE", "type": path, "help": "write .json or .csv, too"},
    "--seed": {**_SEED, "help": "of the intervals' random draws (default: %(default)s)"},
})  # fmt: skip
SAMPLE: Command = (_sample, "draw cells of a map, to be labelled for 'landuse area --labels'", {
    "map": _MAP,
    "--out": {"metavar": "FILE", "type": path, "required": True, "help": "the GeoPackage to write"},
    "--size": {"type": whole(2, 100_000, " cells"), "default": 200, "metavar": "N",
               "help": "cells (default: %(default)s)"},
    "--seed": {**_SEED, "help": "another number, other cells (default: %(default)s)"},
})  # fmt: skip
