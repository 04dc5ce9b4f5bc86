"""What a model takes and gives: the content of model.json."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator, with_config
from typing_extensions import TypedDict  # from Python 3.12 on pydantic takes that of typing, too

from landuse.core import formulas
from landuse.core.layers import LayerBand
from landuse.core.outputs import as_json, first_fault, reading

VERSION = 3  # 1: without radiometric_offset, ground_resolution and calibration; 2: without what the export adds

Positive = Annotated[float, Field(gt=0)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")  # what a newer version added is kept

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Return what a JSON file says; raises ValueError where it is none, or a field is absent or of another kind."""
        as_json(content, dict[str, Any])
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ValueError(first_fault(error)) from None

    @classmethod
    def read(cls, path: Path, stage: str) -> Self:
        """Read the file of it that a stage wrote; raises UserError where that is missing or damaged."""
        with reading(path, stage):
            return cls.parse(path.read_bytes())


@with_config(ConfigDict(extra="allow"))
class Network(TypedDict):
    """One of those that answer together. phase: of its training, None for the end. weights: their SHA-256."""

    backbone: str
    seed: int | None
    phase: str | None
    identity: str
    weights: str


class Calibration(_Form):
    """What evaluation chose on validation tiles for the answers of a model or an ensemble.

    temperature, power: of the logits, see ``Scaling``; reason: for them. abstention_threshold: no answer where the
    largest calibrated probability is below it; 0: always an answer. conformal_quantile: a label is in the set where 1 -
    its probability is at most this; None: every label is. views: of each tile, 1 or the 8 flips and turns.
    """

    temperature: Positive
    power: Positive
    reason: str
    coverage: float
    abstention_threshold: float
    conformal_method: str
    conformal_coverage: float
    conformal_quantile: float | None
    views: Literal[1, 8]
    members: list[Network]


class OutOfDistribution(_Form):
    """How to score strangers: distance to the k-th nearest reference tile, k = neighbours, divided by the limit."""

    neighbours: int
    limit: Positive


class ModelSpec(_Form):
    """How to build a model, what it takes, what it gives and where it comes from.

    version: of this form. input_adapter: how the channels reach a network for RGB; rgb: places of red, green and
    blue among them, None: they are not there; older models have neither. head: a section ``Head`` of the params. bands:
    in the order of the pixels. units: of the stored pixel values, as is radiometric_offset, which is added to digital
    numbers before scaling. tile_size: pixels a side as stored; input_size: as the backbone works at. resized:
    GeoTIFFs of any size were resampled to tiles, None, and left out of the file: they were not. ground_resolution:
    metres a pixel; None: unknown. channels: what the network sees, each as its name and a band, or the formula of
    an index over reflectances, (digital numbers + offset) / 10,000, of bands; None: the bands. layers: the last bands,
    and channels, which come from other rasters; fusion: how the network gets them, as ``model.fusion``. Both are None,
    and not in the file, where there are no layers. mean, std: of each channel, of a band in ``units``. weights: where
    training started from. identity: digest of all that made the weights (params, data, code). params: of the train
    stage, flat.

    What the export adds: calibration; precision of the network in the ONNX file; limits: (low, high) of each band, the
    smallest and the largest mean over a training tile, in ``units``; confusion: test tiles, rows the true labels,
    columns the answers; confusion_sure: the same of the tiles that the model is sure of, neither abstained nor stranger
    than the limit, None in older files; ood: None where there is no reference to compare with.
    """

    version: int = 1
    backbone: str
    stem: Literal["standard", "small"]
    pooling: Literal["avg", "gem"]
    input_adapter: Literal["inflate", "repeat", "project", "scratch_stem", "select_rgb"] = "repeat"
    rgb: list[int] | None = None
    head: dict[str, Any]
    classes: list[str]
    bands: list[str]
    units: str
    radiometric_offset: int | None = None
    dtype: Literal["uint8", "uint16"]
    tile_size: int
    resized: bool | None = Field(default=None, exclude_if=lambda resized: resized is None)
    ground_resolution: float | None = None
    input_size: int
    channels: list[tuple[str, str]] | None = None
    layers: list[LayerBand] | None = Field(default=None, exclude_if=lambda layers: layers is None)
    fusion: Literal["early", "late"] | None = Field(default=None, exclude_if=lambda fusion: fusion is None)
    mean: list[float]
    std: list[float]
    calibration: Calibration | None = None
    source: str
    data_licence: str
    weights: str
    data_digest: str
    params_digest: str
    identity: str
    params: dict[str, Any]
    precision: Literal["fp32", "int8"] = "fp32"
    limits: list[tuple[float, float]] | None = None
    confusion: list[list[int]] | None = None
    confusion_sure: list[list[int]] | None = None
    ood: OutOfDistribution | None = None

    @model_validator(mode="after")
    def _fusion_is_of_layers(self) -> Self:
        if self.fusion == "late" and not 0 < len(self.layers or ()) < len(self.mean):
            raise ValueError(f"fusion is late, but layers are {len(self.layers or ())} of {len(self.mean)} channels")
        return self

    @model_validator(mode="after")
    def _rgb_is_among_the_bands(self) -> Self:
        if self.rgb is None and self.input_adapter in ("inflate", "project", "select_rgb"):
            raise ValueError(f"input_adapter is {self.input_adapter!r}, but rgb does not say where RGB lies")
        if self.rgb is not None and (len({*self.rgb}) != 3 or not {*self.rgb} <= {*range(len(self.mean))}):
            raise ValueError(f"rgb is {self.rgb}, not three places among {len(self.mean)} channels")
        return self

    @model_validator(mode="after")
    def _channels_are_of_the_bands(self) -> Self:
        for name, formula in self.channels or []:
            formulas.read(formula)
            own = {*formulas.names(formula)}
            if not own or not own <= {*self.bands}:
                raise ValueError(f"channel {name} is {formula}, not of the bands {', '.join(self.bands)}")
        return self

    @model_validator(mode="after")
    def _layers_are_the_last_bands(self) -> Self:
        names = [band["name"] for band in self.layers or []]
        if names != self.bands[len(self.bands) - len(names) :]:
            raise ValueError(f"layers are {', '.join(names)}, but the last bands {', '.join(self.bands)}")
        return self

    @property
    def spectral(self) -> list[str]:
        """The bands of the sensor, without those of layers."""
        return self.bands[: len(self.bands) - len(self.layers or [])]
