"""Commands that use a model, or make land to use it on: they work anywhere, on the paths that they are given."""

import argparse
import os
import sys

from landuse.cli import area, change, maps, view
from landuse.cli.values import MODEL, Command, path, share, whole
from landuse.core.errors import UserError
from landuse.core.layers import LAYER


def _scene(options: argparse.Namespace) -> None:
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name a new folder")
    from landuse.data.sources.sample.scene import write_scene

    write_scene(options.out, options.seed, options.size, options.city, options.after, options.layers)
    print("wrote", ", ".join(sorted(map(str, options.out.iterdir()))))


def _predict(options: argparse.Namespace) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads would wait in circles beside the network's
    from landuse.inference import Model, registry
    from landuse.inference.predict.run import run

    model = Model.load(registry.local_folder(options.model), threads=1)
    failed = run(options.paths, model, options.out, not options.any_values, options.layer)
    if failed:
        print(f"landuse: files without an answer: {failed:,}; the column error says why", file=sys.stderr)
        raise SystemExit(1)


COMMANDS: dict[str, Command] = {
    "scene": (_scene, "write a simulated Sentinel-2 scene with its true land-use map", {
        "out": {"metavar": "OUT", "type": path, "help": "the folder to make"},
        "--seed": {"type": whole(0, 2**32 - 1), "default": 7,
                   "help": "another number, another scene (default: %(default)s)"},
        "--size": {"type": whole(64, 21_960, " pixels"), "default": 1024, "metavar": "PX",
                   "help": "pixels a side (default: %(default)s)"},
        "--city": {"metavar": "SHARE", "type": share,
                   "help": "about this part of the land is residential or industrial, 0 to 1 (default: a quarter)"},
        "--after": {"metavar": "SHARE", "type": share,
                    "help": "write a later date, too: this part of the farmland became city, 0 to 1; and what changed"},
        "--layers": {"action": "store_true",
                     "help": "write its relief, dem.tif, and the NDVI of a year, ndvi.tif, too (of the first date)"},
    }),
    "map": maps.COMMAND,
    "change": change.COMMAND,
    "predict": (_predict, "label tiles by an exported model: a table, one row a file", {
        "paths": {"metavar": "PATH", "nargs": "+",
                  "help": "a file (PNG, JPEG, TIFF, GeoTIFF, ...), a folder, a pattern, a zip, or - for a list of them "
                          "on standard input"},
        **MODEL,
        "--out": {"metavar": "FILE", "type": path,
                  "help": ".csv, .jsonl, .parquet or .gpkg, points where tiles have coordinates (default: CSV on "
                          "standard output)"},
        **LAYER,
        "--any-values": {"action": "store_true",
                         "help": "answer tiles whose values look like other units than the model's, too"},
    }),
    "sample": area.SAMPLE,
    "area": area.AREA,
    "view": view.COMMAND,
}  # fmt: skip
