"""Commands that use a model, or make land to use it on: they work anywhere, on the paths that they are given."""

import argparse

from landuse.cli.values import Command, path, whole
from landuse.core.errors import UserError


def _scene(options: argparse.Namespace) -> None:
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name a new folder")
    from landuse.data.sources.sample.scene import write_scene

    write_scene(options.out, options.seed, options.size)
    print(f"wrote {options.out / 'scene.tif'} and {options.out / 'land_use.tif'}")


def _view(options: argparse.Namespace) -> None:
    from landuse.inference.view import write_page

    print(f"wrote {write_page(options.folder, options.out)}: open it in a browser")


COMMANDS: dict[str, Command] = {
    "scene": (_scene, "write a simulated Sentinel-2 scene with its true land-use map", {
        "out": {"metavar": "OUT", "type": path, "help": "the folder to make"},
        "--seed": {"type": whole(0, 2**32 - 1), "default": 7,
                   "help": "another number, another scene (default: %(default)s)"},
        "--size": {"type": whole(64, 4096, " pixels"), "default": 1024, "metavar": "PX",
                   "help": "pixels a side (default: %(default)s)"},
    }),
    "view": (_view, "a map as one HTML page to look at", {
        "folder": {"metavar": "DIR", "type": path, "help": "a folder that 'landuse map' made"},
        "--out": {"metavar": "FILE", "type": path, "help": "the page (default: index.html in DIR)"},
    }),
}  # fmt: skip
