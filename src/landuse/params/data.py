"""Sections about tiles: where they come from, their labels, their split."""

import math
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from landuse.errors import did_you_mean
from landuse.params.base import Count, Float, Positive, Section, Seed, Share

SourceName = Literal["sample", "eurosat_rgb", "eurosat_ms", "folder"]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


class Sample(Section):
    tiles_per_class: Count
    seed: Seed


class Data(Section):
    source: SourceName
    url: str | None
    coordinates: str | None
    bands: Literal["rgb", "all"]
    tile_size: Annotated[int, Field(ge=8, le=1024)]
    max_quarantined: Annotated[int, Field(ge=0)]
    fraction: Annotated[Share, Field(gt=0)]
    sample: Sample


class Mapping(Section):
    preset: str
    tables: dict[str, dict[str, list[str]]]

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
    list: str | None
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None


class Published(Section):
    train: PublishedList
    val: PublishedList
    test: PublishedList


class Split(Section):
    method: Literal["stratified", "kfold", "spatial", "spatial_kfold", "published"]
    fractions: Fractions
    seed: Seed
    folds: Annotated[int, Field(ge=2)]
    fold: Annotated[int, Field(ge=0)]
    block_km: Positive
    buffer_km: Annotated[Float, Field(ge=0)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)]
    published: Published

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"fold is {self.fold}, but folds is {self.folds}: give one of 0 to {self.folds - 1}")
        return self
