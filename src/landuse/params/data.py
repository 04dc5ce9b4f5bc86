"""Sections about tiles: where they come from, their labels, their split."""

import math
from typing import Annotated, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from landuse.core.errors import did_you_mean
from landuse.core.layers import Resampling
from landuse.params.base import Float, Place, Section, Seed, Share, Word

SourceName = Literal["sample", "eurosat_rgb", "eurosat_ms", "folder"]
BandPreset = Literal["rgb", "rgb_nir", "ten_metre", "twenty_metre", "all", "no_cirrus"]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


class Sample(Section):
    tiles_per_class: Annotated[int, Field(ge=1, le=10_000)]  # all of them are in memory at once
    seed: Seed


# tags in brackets are left out of what is said to be wrong
Bands = Annotated[
    Annotated[BandPreset, Tag("[preset]")] | Annotated[list[Word], Field(min_length=1, max_length=64), Tag("[list]")],
    Discriminator(lambda value: "[list]" if isinstance(value, list) else "[preset]"),
]


class LayerTable(Section):
    """A raster to be stored beside the bands. range: its smallest and largest value; units: of them, in words."""

    path: Place
    resampling: Resampling
    range: Annotated[list[Float], Field(min_length=2, max_length=2)]
    units: Word
    derive: Literal["none", "slope", "slope_aspect"]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = self.range
        if low >= high:
            raise ValueError(f"range is {low:g} to {high:g}: give the smallest and then the largest value")
        return self


class Data(Section):
    source: SourceName
    url: Place | None
    coordinates: Place | None
    bands: Bands
    layers: list[Word]
    layer_tables: Annotated[dict[Word, LayerTable], Field(min_length=1)]
    tile_size: Annotated[int, Field(ge=8, le=1024)]
    resize: bool
    patch_size: Literal[8, 16, 32] | None
    patches_per_tile: Annotated[int, Field(ge=1)] | None
    max_quarantined: Annotated[int, Field(ge=0, le=1_000_000)]
    fraction: Annotated[Share, Field(gt=0)]
    shots: Annotated[int, Field(ge=1, le=1_000_000)] | None
    draw: Seed
    sample: Sample

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        for name in self.layers:
            if name not in self.layer_tables:
                near = did_you_mean(name, self.layer_tables)
                raise ValueError(f"layers has {name!r}, no such table under layer_tables{near}")
            if self.layers.count(name) > 1:
                raise ValueError(f"layers has {name} twice: leave one of them out")
        return self

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        size, count = self.patch_size, self.patches_per_tile
        if size is None:
            if count is not None:
                raise ValueError("patches_per_tile is set, but patch_size is null: set that to 8, 16 or 32")
            return self
        if self.tile_size % size:
            near = max(size, round(self.tile_size / size) * size)
            raise ValueError(
                f"patch_size is {size}, which does not divide tile_size ({self.tile_size}): "
                f"choose a tile_size of {near}, say, or another patch_size"
            )
        most = (self.tile_size // size) ** 2
        if count is not None and count > most:
            raise ValueError(
                f"patches_per_tile is {count}, but a tile of {self.tile_size} pixels has {most} patches of {size}: "
                "lower it, or null for all of them"
            )
        return self


class Mapping(Section):
    preset: Word
    tables: dict[Word, Annotated[dict[Word, Annotated[list[Word], Field(min_length=1)]], Field(min_length=1)]]

    @model_validator(mode="after")
    def _preset_exists(self) -> Self:
        if self.preset != "all_classes" and self.preset not in self.tables:
            known = [*self.tables, "all_classes"]
            raise ValueError(f"preset is {self.preset!r}, no such table{did_you_mean(self.preset, known)}")
        return self

    @property
    def table(self) -> dict[str, list[str]] | None:
        """Label -> classes of the chosen preset, or None: every class is its own label."""
        return None if self.preset == "all_classes" else self.tables[self.preset]


class Fractions(Section):
    train: Share
    val: Share
    test: Share

    @model_validator(mode="after")
    def _add_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"the three fractions add to {total:.4g}: they must add to 1")
        if min(self.train, self.val, self.test) <= 0:
            raise ValueError("every part needs a fraction above 0")
        return self


class PublishedList(Section):
    list: Place | None
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None


class Published(Section):
    train: PublishedList
    val: PublishedList
    test: PublishedList


class Split(Section):
    method: Literal["stratified", "kfold", "spatial", "spatial_kfold", "published"]
    fractions: Fractions
    seed: Seed
    folds: Annotated[int, Field(ge=2, le=1000)]
    fold: Annotated[int, Field(ge=0)]
    block_km: Annotated[Float, Field(ge=0.01, le=40_000)]  # a pixel; around the Earth
    buffer_km: Annotated[Float, Field(ge=0, le=20_000)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)]
    published: Published

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}, but folds is {self.folds}: give one of 0 to {self.folds - 1}")
        return self
