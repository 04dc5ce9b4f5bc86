"""The command ``map``. What it takes of a scene stands beside the scene, which takes long to load: not for help."""

import argparse
import os
from typing import Any

from landuse.cli.values import MODEL, Command, day, path, share, whole


def _run(options: argparse.Namespace) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process has a core; NumPy looks when it is loaded
    from landuse.inference import registry
    from landuse.inference.map import MapOptions, map_scene
    from landuse.inference.scene import SceneOptions

    date, dense = options.date, options.dense
    how = MapOptions(options.stride, options.min_valid, options.workers, options.scheduler, date, dense)
    model = registry.local_folder(options.model)
    print(*map_scene(options.scene, options.out, model, how, SceneOptions.of(options)), sep="\n")


def _arguments() -> dict[str, dict[str, Any]]:
    from landuse.inference.scene import OPTIONS

    return {
        "scene": {"nargs": "+", "metavar": "SCENE",
                  "help": "GeoTIFF, VRT, SAFE folder or zip, STAC item; several are bands of one scene"},
        "--out": {"metavar": "DIR", "type": path, "required": True, "help": "the folder to make"},
        **MODEL,
        "--stride": {"metavar": "PX", "type": whole(1, 4096, " pixels"),
                     "help": "side of a cell, a divisor of the tile's (default: half a tile)"},
        "--min-valid": {"metavar": "SHARE", "type": share, "default": 0.5,
                        "help": "valid part that a cell needs, 0 to 1 (default: %(default)s)"},
        "--date": {"metavar": "YYYY-MM-DD", "type": day, "help": "of acquisition, where the files do not say"},
        "--workers": {"metavar": "N", "type": whole(1, 1024), "help": "processes (default: one a core)"},
        "--scheduler": {"metavar": "TCP://HOST:PORT", "help": "compute on the workers of this Dask scheduler"},
        "--dense": {"action": "store_true",
                    "help": "write dense.tif, too: the network once over large windows, and how well that agrees"},
        **OPTIONS,
    }  # fmt: skip


COMMAND: Command = (_run, "make a land-use map of a scene that says where it is unsure", _arguments)
