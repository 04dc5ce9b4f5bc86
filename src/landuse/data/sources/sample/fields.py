"""Random fields and random numbers of places: what landscapes and textures are made of."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy import fft

Field = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.uint16]
Zones = npt.NDArray[np.uint32]  # numbers of zones: a large scene has more than 65,536


def von_karman(rng: Generator, size: int, scale: float, slope: float) -> Field:
    """Draw a periodic random field of (size, size) pixels with a von Karman spectrum, mean 0 and variance 1.

    scale: outer scale in pixels: there is no more structure beyond it. slope: of the amplitude spectrum: the higher,
    the smoother. 1.5 looks like land cover, 2.5 like hills.
    """
    return _draw(rng, _amplitude(size, scale, slope))


def hillshade(rng: Generator, size: int, scale: float) -> Field:
    """Draw the slope towards the sun (in the south-east) of random hills, variance 1."""
    fy, fx = _frequencies(size)
    return _draw(rng, _amplitude(size, scale, 3.0) * np.abs(0.7 * fx - 0.7 * fy))


def smooth(rng: Generator, size: int, scale: float) -> Field:
    """Draw white noise blurred by a Gaussian of ``scale`` pixels, variance 1."""
    fy, fx = _frequencies(size)
    return _draw(rng, np.exp(-2 * (fx**2 + fy**2) * np.float32(np.pi * scale) ** 2))


def at(field: Field, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Field:
    """The values (rows, columns) of a periodic field; rows and columns may lie anywhere."""
    period = len(field)
    found: Field = field[np.ix_(rows % period, columns % period)]
    return found


def _draw(rng: Generator, amplitude: Field) -> Field:
    noise = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    spectrum = (noise[0] + 1j * noise[1]) * amplitude
    spectrum[0, 0] = 0
    field: Field = fft.irfft2(spectrum, workers=1)
    field /= field.std()
    return field


def _amplitude(size: int, scale: float, slope: float) -> Field:
    fy, fx = _frequencies(size)
    amplitude: Field = (fx**2 + fy**2 + np.float32(1 / scale) ** 2) ** np.float32(-slope / 2)
    return amplitude


def _frequencies(size: int) -> tuple[Field, Field]:
    return fft.fftfreq(size).astype(np.float32)[:, None], fft.rfftfreq(size).astype(np.float32)[None, :]


def number(*keys: npt.NDArray[Any] | int) -> Numbers:
    """Hash integers, elementwise: the same keys give the same number of 0..65535, near keys unrelated ones."""
    mixed = np.zeros(1, np.uint32)
    for key in keys:
        mixed = (mixed ^ np.asarray(key).astype(np.int32).astype(np.uint32)) * np.uint32(0x9E3779B1)
        mixed ^= mixed >> np.uint32(15)
        mixed = mixed * np.uint32(0x85EBCA77)
        mixed ^= mixed >> np.uint32(13)
    return (mixed & np.uint32(0xFFFF)).astype(np.uint16)


def share(numbers: Numbers) -> Field:
    """Turn hashed numbers into shares of 0..1."""
    return numbers.astype(np.float32) / np.float32(65536)
