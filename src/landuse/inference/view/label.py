"""The page on which people label a sample of cells."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from landuse.core.files import write_text
from landuse.inference.folder import MapFolder
from landuse.inference.sample import OTHER, read_sample
from landuse.inference.scene import SceneOptions
from landuse.inference.view.map_page import map_page
from landuse.inference.view.page import LONGEST, page_path
from landuse.inference.view.pictures import pictures_of


def write_label_page(folder: Path, sample: Path, scene: Sequence[str], options: SceneOptions, out: Path | None) -> Path:
    """Write a page to label cells of a map in, and return its path.

    sample: a GeoPackage, see ``read_sample``. scene: paths of what the map was made of, for pictures in its own pixels;
    without, there is the map's quicklook. out: the file; None: label.html in the folder.

    Raises:
        UserError: the folder holds no whole map, or the sample or the scene is not of it.
    """
    out = page_path(out or folder / "label.html")
    found = MapFolder.read(folder, LONGEST)
    cells = read_sample(sample, folder)
    pictures = pictures_of(cells, found, scene, options) if scene else []
    digest = hashlib.sha256(json.dumps([found.summary["model"], cells]).encode()).hexdigest()
    write_text(out, map_page(found, {"name": digest[:16], "cells": cells, "other": OTHER, "pictures": pictures}))
    return out
