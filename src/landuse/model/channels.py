"""From stored bands to what a network sees: some of them, and spectral indices, computed in the graph itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landuse.core import formulas


class Channels(nn.Module):
    """(N, bands, H, W) pixel values as stored -> (N, channels, H, W) bands and indices; nothing of it learns.

    A formula that is a band's name alone is the band as stored. Any other is an index, of reflectances of at least 0: 0
    where it is no number (no light), and within its limits (see ``formulas.limits``).

    bands: names, as stored. channels: as in ``ModelSpec``. offset: radiometric offset of the digital numbers.
    """

    def __init__(self, bands: Sequence[str], channels: Sequence[tuple[str, str]], offset: float) -> None:
        super().__init__()
        self._bands, self._offset = tuple(bands), offset
        self._channels = [formula for _, formula in channels]
        indices = [formula for formula in self._channels if formula not in bands]
        self._indices = {formula: (formulas.read(formula), *formulas.limits(formula)) for formula in indices}
        self._lit = list(dict.fromkeys(name for formula in indices for name in formulas.names(formula)))

    @property
    def bands(self) -> int:
        """How many bands it takes."""
        return len(self._bands)

    def forward(self, pixels: Tensor) -> Tensor:
        made = dict(zip(self._bands, torch.split(pixels, 1, dim=1), strict=True))
        light = {name: (made[name] + self._offset).clamp(min=0) / 10_000 for name in self._lit}
        for formula, (compute, low, high) in self._indices.items():
            made[formula] = compute(light).nan_to_num().clamp(low, high)
        return torch.cat([made[name] for name in self._channels], dim=1).contiguous(memory_format=torch.channels_last)
