"""Layers: what dataset.json and model.json tell of a band that comes from another raster, and how people name that."""

import argparse
from typing import Any, Literal

from typing_extensions import TypedDict  # from Python 3.12 on pydantic takes that of typing, too

Resampling = Literal["nearest", "bilinear", "cubic", "average"]


class LayerBand(TypedDict):
    """A stored band, uint16: value = stored x scale + offset. of: the raster that it comes from, or is derived of."""

    name: str
    scale: float
    offset: float
    units: str
    resampling: Resampling
    of: str


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: give NAME=FILE, like dem=elevation.tif")
    return name, path


# as argparse takes it; here, since the parser must not load what uses it
LAYER: dict[str, dict[str, Any]] = {
    "--layer": {"metavar": "NAME=FILE", "type": _named, "action": "append", "default": [],
                "help": "the raster of a layer that the model has learnt with (data.layers); may be repeated"},
}  # fmt: skip
