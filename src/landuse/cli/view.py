"""The command ``view``. What it takes of a scene stands beside the scene, which takes long to load: not for help."""

import argparse
from typing import Any

from landuse.cli.values import Command, path
from landuse.core.errors import UserError


def _run(options: argparse.Namespace) -> None:
    if options.sample:
        from landuse.inference.scene import SceneOptions
        from landuse.inference.view.label import write_label_page

        how = SceneOptions(bands=options.bands, offset=options.offset, units=options.units)
        written = write_label_page(options.folder, options.sample, options.scene, how, options.out)
    elif options.scene:
        raise UserError("--scene is for pictures of sampled cells: give --sample too")
    else:
        from landuse.inference.view import write_page

        written = write_page(options.folder, options.out)
    print(f"wrote {written}: open it in a browser")


def _arguments() -> dict[str, dict[str, Any]]:
    from landuse.inference.scene import OPTIONS

    return {
        "folder": {"metavar": "DIR", "type": path, "help": "a folder that 'landuse map' or 'landuse change' made"},
        "--out": {"metavar": "FILE", "type": path, "help": "the page (default: index.html or label.html in DIR)"},
        "--sample": {"metavar": "FILE", "type": path, "help": "a GeoPackage of cells: make a page to label them in"},
        "--scene": {"metavar": "SCENE", "nargs": "+", "default": [],
                    "help": "what the map was made of, for pictures of the sampled cells in its own pixels"},
        **{flag: OPTIONS[flag] for flag in ("--bands", "--offset", "--units")},
    }  # fmt: skip


COMMAND: Command = (_run, "a map or a change as one HTML page to look at, or to label cells of a map in", _arguments)
