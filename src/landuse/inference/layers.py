"""Rasters that a model has learnt with beside the bands, as a person names them: NAME=FILE."""

from collections.abc import Sequence
from pathlib import Path

from landuse.core.errors import UserError
from landuse.sensors import layers
from landuse.sensors.layers import Layer
from landuse.spec.model import ModelSpec


def given(spec: ModelSpec, named: Sequence[tuple[str, str]]) -> tuple[Layer, ...]:
    """The layers of a model, in its order. named: name and path of each.

    Raises:
        UserError: one is missing, named twice or none of the model's, or a raster cannot be used.
    """
    wanted, paths = layers.grouped(spec.layers or []), dict(named)
    for name, path in named:
        if name not in wanted:
            known = f"its layers are {', '.join(wanted)}" if wanted else "it has learnt with none"
            raise UserError(f"--layer {name}={path}: this model has no layer {name} ({known}): leave it out")
        if paths[name] != path:
            raise UserError(f"--layer {name} is there twice, {path} and {paths[name]}: leave one of them out")
    for name, bands in wanted.items():
        if name not in paths:
            units = bands[0]["units"]
            raise UserError(f"the model has learnt with a layer {name} ({units}): give its raster, --layer {name}=FILE")
        layers.check(name, paths[name])
    return tuple(Layer(_absolute(paths[name]), bands) for name, bands in wanted.items())


def _absolute(path: str) -> str:
    """For processes that work elsewhere; an address, or a path of GDAL's, stays as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path
