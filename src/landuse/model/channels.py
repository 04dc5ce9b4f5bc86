"""From stored bands to what a network sees: some of them, and spectral indices, computed in the graph itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Channels(nn.Module):
    """(N, bands, H, W) pixel values as stored -> (N, channels, H, W) bands and indices; nothing of it learns.

    An index is (sum of some bands - sum of others) / sum of all, of reflectance; 0 where there is no light.

    bands: names, as stored. channels: as in ``ModelSpec``. offset: radiometric offset of the digital numbers.
    """

    def __init__(
        self, bands: Sequence[str], channels: Sequence[tuple[str, Sequence[str], Sequence[str]]], offset: float
    ) -> None:
        super().__init__()
        self._parts = [([*map(bands.index, plus)], [*map(bands.index, minus)]) for _, plus, minus in channels]
        self.bands, self._offset = len(bands), offset

    def forward(self, pixels: Tensor) -> Tensor:
        bands = torch.split(pixels, 1, dim=1)
        made = []
        for plus, minus in self._parts:
            added = sum((bands[at] for at in plus[1:]), start=bands[plus[0]])
            if minus:
                taken = sum((bands[at] for at in minus[1:]), start=bands[minus[0]])
                light = added + taken + self._offset * (len(plus) + len(minus))
                # half a digital number: less is no light
                added = (added - taken + self._offset * (len(plus) - len(minus))) / light.clamp(min=0.5)
                added = added.clamp(-1, 1)
            made.append(added)
        return torch.cat(made, dim=1).contiguous(memory_format=torch.channels_last)
