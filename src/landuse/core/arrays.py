"""What arrays hold, for signatures, whose shapes stand in docstrings; and whether a tile shows anything."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


def constant(pixels: npt.NDArray[Any]) -> bool:
    """Whether all pixels (H, W, C) are the same. Most differ in the first row already, which is looked at first."""
    return bool((pixels[0] == pixels[0, 0]).all() and (pixels == pixels[:1, :1]).all())
