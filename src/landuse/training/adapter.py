"""Which input adapter a training gets: the word of the params, and where red, green and blue lie among the bands."""

from collections.abc import Sequence
from typing import Any

from landuse import sensors
from landuse.core.errors import UserError
from landuse.model import small_cnns
from landuse.model.adapters import Adapter


def choose(word: str, backbone: str, bands: Sequence[str], pretrained: bool) -> Adapter:
    """Return the adapter for these bands, or raise UserError where it needs RGB and they are not among them.

    word: ``model.input_adapter``. bands: names of the channels that it sees. pretrained: whether the
    network starts from weights.
    """
    visible = sensors.visible(bands)
    rgb = tuple(visible) if visible else None
    chosen: Any = word
    if word == "auto" and rgb != tuple(range(len(bands))) and (not pretrained or backbone in small_cnns.BUILD):
        chosen = "scratch_stem"
    elif word == "auto":
        chosen = "inflate" if rgb else "repeat"
    if rgb is None and word in ("inflate", "project", "select_rgb"):
        raise UserError(
            f"model.input_adapter is {word!r}, but red, green and blue are not all among the bands "
            f"({', '.join(bands)}): choose repeat or scratch_stem, or add {', '.join(sensors.RGB)} to data.bands"
        )
    return Adapter(chosen, rgb)
