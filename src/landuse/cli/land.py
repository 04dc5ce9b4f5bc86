"""Commands that use a model, or make land to use it on: they work anywhere, on the paths that they are given."""

import argparse

from landuse.cli import maps
from landuse.cli.values import Command, path, whole
from landuse.core.errors import UserError


def _scene(options: argparse.Namespace) -> None:
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name a new folder")
    from landuse.data.sources.sample.scene import write_scene

    write_scene(options.out, options.seed, options.size)
    print(f"wrote {options.out / 'scene.tif'} and {options.out / 'land_use.tif'}")


COMMANDS: dict[str, Command] = {
    "scene": (_scene, "write a simulated Sentinel-2 scene with its true land-use map", {
        "out": {"metavar": "OUT", "type": path, "help": "the folder to make"},
        "--seed": {"type": whole(0, 2**32 - 1), "default": 7,
                   "help": "another number, another scene (default: %(default)s)"},
        "--size": {"type": whole(64, 4096, " pixels"), "default": 1024, "metavar": "PX",
                   "help": "pixels a side (default: %(default)s)"},
    }),
    "map": maps.COMMAND,
}  # fmt: skip
