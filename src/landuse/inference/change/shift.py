"""How far two pictures of one place lie apart: phase correlation, to a fraction of a pixel."""

from dataclasses import dataclass
from math import hypot

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]
Seen = tuple[Floats, npt.NDArray[np.bool_]]  # steepness at pixels, and which of them a picture shows

_WINDOW = 256  # pixels a side of the parts that are correlated; their spectra are added
_VALID = 0.5  # of a part that both pictures must show
_CLEAR = 8.0  # standard deviations that the peak must stand above the rest: of noise alone it stands 5
_FINE = 50  # parts of a pixel in which the peak is looked for
_BAND = (0.02, 0.35)  # cycles a pixel that count: haze and light are coarser, noise is finer


@dataclass(frozen=True)
class Shift:
    """Metres that the second picture lies to the right of the first (x), and above it (y)."""

    x: float
    y: float

    @property
    def metres(self) -> float:
        return hypot(self.x, self.y)


def between(before: Image.Image, after: Image.Image, extent: tuple[float, float]) -> Shift | None:
    """Estimate the shift of two RGBA pictures of one extent; None where they have too little in common to tell.

    Phase correlation (Kuglin and Hines 1975; Welch's mean over parts), its peak refined by a Fourier transform on a
    finer grid (Guizar-Sicairos et al. 2008, Opt. Lett. 33).

    extent: width and height in metres.
    """
    size = before.size
    first, second = (_read(picture.resize(size, Image.Resampling.BILINEAR)) for picture in (before, after))
    spectrum = _cross_spectrum(first, second)
    if spectrum is None:
        return None
    peak = _peak(spectrum)
    if peak is None:
        return None
    down, right = peak
    return Shift(right * extent[0] / size[0], -down * extent[1] / size[1])


def _read(picture: Image.Image) -> Seen:
    """How steep brightness is: from season to season a field turns from dark to bright, and its edges stay."""
    brightness = np.asarray(picture.convert("L"), dtype=np.float64)
    return np.hypot(*np.gradient(brightness)), np.asarray(picture.getchannel("A")) > 127


def _cross_spectrum(first: Seen, second: Seen) -> npt.NDArray[np.complex128] | None:
    """Sum over parts of the phase of the cross spectrum; None where no part is valid enough."""
    shown = first[1] & second[1]
    height, width = (min(_WINDOW, side) for side in shown.shape)
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    total = None
    for top in _starts(shown.shape[0], height):
        for left in _starts(shown.shape[1], width):
            part = np.s_[top : top + height, left : left + width]
            known = shown[part]
            if known.mean() < _VALID:
                continue
            one, other = (
                np.fft.fft2(np.where(known, values[part] - values[part][known].mean(), 0) * window)
                for values in (first[0], second[0])
            )
            cross = one.conj() * other
            phase = cross / np.maximum(np.abs(cross), 1e-12 + 1e-9 * np.abs(cross).max())
            total = phase if total is None else total + phase
    if total is None:
        return None
    rows, cols = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    frequency = np.hypot(rows, cols)
    return np.where((frequency >= _BAND[0]) & (frequency <= _BAND[1]), total, 0)


def _starts(side: int, window: int) -> list[int]:
    """Of parts that overlap by half, and reach the end."""
    count = max(1, -(-2 * (side - window) // window) + 1)
    return sorted({round(start) for start in np.linspace(0, side - window, count)})


def _peak(spectrum: npt.NDArray[np.complex128]) -> tuple[float, float] | None:
    surface = np.fft.ifft2(spectrum).real
    row, col = np.unravel_index(surface.argmax(), surface.shape)
    if surface[row, col] - surface.mean() <= _CLEAR * surface.std():
        return None
    height, width = surface.shape
    near = np.arange(-_FINE, _FINE + 1) / _FINE
    down = (row + height / 2) % height - height / 2 + near
    right = (col + width / 2) % width - width / 2 + near
    rows = np.exp(2j * np.pi * np.outer(down, np.fft.fftfreq(height)))
    cols = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(width), right))
    finer = (rows @ spectrum @ cols).real
    i, j = np.unravel_index(finer.argmax(), finer.shape)
    return float(down[i]), float(right[j])
