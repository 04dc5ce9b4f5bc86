"""Tiles to look at, with what the model makes of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Exhibit:
    """One tile.

    picture: (H, W, 3) uint8, as a person would see it. overlay: the same with what the model looked at, or None.
    truth: its label, None where it has none (a class kept aside). probability: of the prediction.
    """

    file: str
    picture: npt.NDArray[np.uint8]
    overlay: npt.NDArray[np.uint8] | None
    original_class: str
    truth: str | None
    prediction: str
    probability: float
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Exhibits with one question in common. name: short, for addresses; about: one sentence."""

    name: str
    title: str
    about: str
    exhibits: tuple[Exhibit, ...]
