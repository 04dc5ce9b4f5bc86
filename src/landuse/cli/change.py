"""The command ``change``. What it takes of a scene stands beside the scene, which takes long to load: not for help."""

import argparse
import os
from pathlib import Path
from typing import Any

from landuse.cli.values import MODEL, Command, path, share, whole
from landuse.core.errors import UserError


def _run(options: argparse.Namespace) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process has a core; NumPy looks when it is loaded
    from landuse.inference import registry
    from landuse.inference.change import change_maps, change_scenes
    from landuse.inference.map import MapOptions
    from landuse.inference.scene import SceneOptions

    before, after = options.before, options.after
    maps = [Path(name, "summary.json").is_file() for name in (before, after)]
    if all(maps):
        told = change_maps(Path(before), Path(after), options.out)
    elif any(maps):
        scene = after if maps[0] else before
        raise UserError(f"one of BEFORE and AFTER is a map, {scene} is none: map that too ('landuse map')")
    else:
        how = MapOptions(options.stride, options.min_valid, options.workers)
        model = registry.local_folder(options.model)
        told = change_scenes(before, after, options.out, model, how, SceneOptions.of(options))
    print(*told, sep="\n")


def _arguments() -> dict[str, dict[str, Any]]:
    from landuse.inference.scene import OPTIONS

    return {
        "before": {"metavar": "BEFORE", "help": "a folder that 'landuse map' made, or a scene to map first"},
        "after": {"metavar": "AFTER", "help": "the same of a later date"},
        "--out": {"metavar": "DIR", "type": path, "required": True, "help": "the folder to make"},
        **MODEL,
        "--stride": {"metavar": "PX", "type": whole(1, 4096, " pixels"),
                     "help": "side of a cell, a divisor of the tile's (default: half a tile)"},
        "--min-valid": {"metavar": "SHARE", "type": share, "default": 0.5,
                        "help": "valid part that a cell needs, 0 to 1 (default: %(default)s)"},
        "--workers": {"metavar": "N", "type": whole(1, 1024), "help": "processes (default: one a core)"},
        **OPTIONS,
    }  # fmt: skip


COMMAND: Command = (_run, "what became of the land between two dates, in hectares with intervals", _arguments)
