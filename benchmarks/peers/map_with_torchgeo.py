"""torchgeo's way over a scene: RasterDataset, GridGeoSampler and a DataLoader, in bf16 and channels last.

python benchmarks/peers/map_with_torchgeo.py SCENE OUT NETWORK STRIDE WORKERS, with NETWORK as the stage train saves it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import GridGeoSampler

from landuse.model import saved

_BATCH = 64


def _as_eurosat(sample: dict[str, Any]) -> dict[str, Any]:
    """Digital numbers to EuroSAT's 8-bit RGB, as ``landuse.sensors.to_rgb`` does."""
    return sample | {"image": (sample["image"] * (254 / 2750) + 1.5).floor().clamp(max=255)}


def main() -> None:
    scene, out, network, stride, workers = sys.argv[1:]
    model, spec = saved.load(Path(network))
    model = model.to(memory_format=torch.channels_last)
    with rasterio.open(scene) as file:
        form, (height, width) = file.profile, file.shape
    dataset = RasterDataset(scene, transforms=_as_eurosat)
    sampler = GridGeoSampler(dataset, size=spec.tile_size, stride=int(stride))
    loader = DataLoader(dataset, batch_size=_BATCH, sampler=sampler, collate_fn=stack_samples, num_workers=int(workers))
    labels: list[int] = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in loader:
            pixels = batch["image"].to(memory_format=torch.channels_last)
            labels += model(pixels).argmax(dim=1).tolist()
    rows, cols = (-(-(n - spec.tile_size) // int(stride)) + 1 for n in (height, width))  # its last windows stick out
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": rows, "width": cols, "crs": form["crs"]}
    with rasterio.open(out, "w", **profile, transform=form["transform"] @ form["transform"].scale(int(stride))) as file:
        file.write(np.array(labels, dtype=np.uint8).reshape(rows, cols), 1)


if __name__ == "__main__":
    main()
