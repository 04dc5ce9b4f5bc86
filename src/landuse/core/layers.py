"""What dataset.json and model.json tell of a stored band that comes from another raster than the tiles."""

from typing import Literal

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
