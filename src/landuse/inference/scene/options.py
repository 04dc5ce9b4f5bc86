"""What a person can say about a scene, as a dataclass and as flags of a command."""

import argparse
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from landuse.core.layers import LAYER


@dataclass(frozen=True)
class SceneOptions:
    """Each of them decides what files leave open, or say wrongly; the defaults leave it to the files.

    bands: names of the files' bands in their order, or NAME=NUMBER, counted from 1 over all files. offset: added to
    digital numbers. units: of the files' values. accept_level: "l2a": take surface reflectance for a model of
    top-of-atmosphere reflectance. resample: bring another grid to the model's ground resolution. mask: files; a raster
    masks where it is not 0, a vector inside its polygons. within: a vector file; what is outside its polygons is
    masked. dilate: pixels by which clouds and shadows of the scene classification layer (SCL) grow. layer: name
    and path of each raster that the model has learnt with beside the bands.
    """

    bands: tuple[str, ...] = ()
    offset: int | None = None
    units: Literal["dn", "reflectance"] | None = None
    accept_level: Literal["l2a"] | None = None
    resample: bool = False
    mask: tuple[str, ...] = ()
    within: str | None = None
    dilate: int = 10
    layer: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, flags: argparse.Namespace) -> Self:
        """Of what argparse made of ``OPTIONS``."""
        given = {field.name: getattr(flags, field.name) for field in fields(cls)}
        return cls(**{**given, "mask": tuple(given["mask"]), "layer": tuple(given["layer"])})


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _dilation(text: str) -> int:
    if not text.isdecimal() or len(text) > 3:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: give 0 to 999 pixels")
    return int(text)


# arguments as argparse takes them
OPTIONS: dict[str, dict[str, Any]] = {
    "--bands": {"metavar": "NAMES", "type": _names, "default": (),
                "help": "what the files' bands are, in order (B02,B03,B04), or by number (B04=3,B03=2)"},
    "--offset": {"metavar": "DN", "type": int, "choices": (-1000, 0),
                 "help": "add to digital numbers: -1000 (baseline 04.00 and later) or 0 (before, or harmonised)"},
    "--units": {"choices": ("dn", "reflectance"),
                "help": "of the files' values: reflectance x 10000 (digital numbers), or reflectance"},
    "--accept-level": {"choices": ("l2a",), "help": "take L2A (surface) for a model trained on L1C"},
    "--resample": {"action": "store_true", "help": "bring another grid to the model's pixels"},
    "--mask": {"metavar": "FILE", "action": "append", "default": [],
               "help": "mask where this raster is not 0, or inside these polygons; may be repeated"},
    "--within": {"metavar": "FILE", "help": "map only what is inside these polygons"},
    "--dilate": {"metavar": "PX", "type": _dilation, "default": SceneOptions.dilate,
                 "help": "widen clouds and shadows of the SCL by so many pixels (default: %(default)s)"},
    **LAYER,
}  # fmt: skip
