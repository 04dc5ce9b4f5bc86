"""params.yaml as typed, validated, frozen objects: the only reader of that file."""

import difflib
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from landuse.errors import UserError, did_you_mean

SourceName = Literal["sample", "eurosat_rgb", "eurosat_ms", "folder"]
Freeze = Literal["none", "stem", "layer1", "layer2", "layer3", "layer4", "backbone"]
Scheduler = Literal["step", "cosine", "plateau", "onecycle", "constant"]
Optimizer = Literal["adam", "adamw", "sgd"]
Monitor = Literal["val_loss", "val_accuracy", "val_macro_f1"]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


def _number(value: object) -> object:
    """DVC writes 1e-5 as ``1e-05``, which YAML 1.1 readers take for a string."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Float = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Float, Field(gt=0)]
Share = Annotated[Float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of params.yaml. Unknown keys and wrong types are refused, and nothing can be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    method: Literal["stratified", "published", "spatial"]
    fractions: Fractions
    seed: Seed
    block_km: Positive
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)]
    published: Published


class Model(Section):
    backbone: str
    weights: str
    input_size: Annotated[int, Field(ge=8, le=1024)]


class StepSettings(Section):
    step_size: Count
    gamma: Positive


class CosineSettings(Section):
    min_factor: Share


class PlateauSettings(Section):
    factor: Annotated[Positive, Field(lt=1)]
    patience: Annotated[int, Field(ge=0)]


class OneCycleSettings(Section):
    warmup: Annotated[Positive, Field(lt=1)]
    start_factor: Annotated[Positive, Field(le=1)]
    end_factor: Share


class Schedulers(Section):
    step: StepSettings
    cosine: CosineSettings
    plateau: PlateauSettings
    onecycle: OneCycleSettings


class Train(Section):
    recipe: str
    seed: Seed
    lr: Annotated[Positive, Field(le=10)] | None
    freeze: Freeze | None
    scheduler: Scheduler | None
    epochs: Count | None
    batch_size: Count | None
    schedulers: Schedulers


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Seed


class Export(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    log_model: bool


class Head(Section):
    hidden: Count | None
    dropout: Annotated[Float, Field(ge=0, lt=1)]


class Augment(Section):
    """Random changes of a tile; rotate: at most so many degrees; the last three: relative ranges."""

    hflip: bool = False
    vflip: bool = False
    transpose: bool = False
    rotate: Annotated[Float, Field(ge=0, le=180)] = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0


class Loss(Section):
    class_weights: bool
    label_smoothing: Annotated[Float, Field(ge=0, lt=1)]


class Phase(Section):
    name: str
    freeze: Freeze
    epochs: Count
    lr: Annotated[Positive, Field(le=10)]
    optimizer: Optimizer
    weight_decay: Annotated[Float, Field(ge=0)]
    scheduler: Scheduler
    monitor: Monitor
    patience: Count | None


class Recipe(Section):
    batch_size: Count
    head: Head
    augment: Augment
    loss: Loss
    phases: Annotated[list[Phase], Field(min_length=1)]


class Params(Section):
    """All of params.yaml; ``load`` leaves out the sections that a stage does not declare."""

    data: Data
    mapping: Mapping
    split: Split
    model: Model
    train: Train
    evaluate: Evaluate
    export: Export
    recipes: dict[str, Recipe]

    @model_validator(mode="after")
    def _recipe_exists(self) -> Self:
        if self.train.recipe not in self.recipes:
            hint = did_you_mean(self.train.recipe, self.recipes)
            raise ValueError(f"train.recipe is {self.train.recipe!r}, no such recipe{hint}")
        return self

    @property
    def recipe(self) -> Recipe:
        """The chosen recipe, with the overrides of ``train`` in every phase.

        A learning rate given there replaces the recipe's highest; the other phases keep their ratio to it.
        """
        recipe, train = self.recipes[self.train.recipe], self.train
        highest = max(phase.lr for phase in recipe.phases)
        phases = [
            phase.model_copy(
                update={
                    "freeze": train.freeze or phase.freeze,
                    "scheduler": train.scheduler or phase.scheduler,
                    "epochs": train.epochs or phase.epochs,
                    "lr": phase.lr if train.lr is None else train.lr * phase.lr / highest,
                }
            )
            for phase in recipe.phases
        ]
        return recipe.model_copy(update={"phases": phases, "batch_size": train.batch_size or recipe.batch_size})


def load(stage: str, root: Path = Path()) -> Params:
    """Read params.yaml, check all of it, and return what ``dvc.yaml`` declares for this stage.

    Reading a section that the stage does not declare raises AttributeError: DVC would not notice
    when it changes.
    """
    everything = read(root / "params.yaml")
    declared = _read_yaml(root / "dvc.yaml")["stages"][stage].get("params", [])
    sections = {name.split(".", 1)[0] for name in declared}
    kept = {name: getattr(everything, name) for name in Params.model_fields if name in sections}
    if "recipes" in kept:
        kept["recipes"] = {everything.train.recipe: everything.recipes[everything.train.recipe]}
    return Params.model_construct(_fields_set=set(kept), **kept)


def read(path: Path = Path("params.yaml")) -> Params:
    """Read and check a whole params file.

    Raises:
        UserError: naming every key at fault, its value, what is allowed and the nearest spelling.
    """
    try:
        return Params.model_validate(_read_yaml(path))
    except ValidationError as error:
        faults = "; ".join(_explain(fault) for fault in error.errors())
        raise UserError(f"{path.name}: {faults}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"no {path.name} here: run from the repository's root, or restore it with 'git checkout {path.name}'"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" (line {place.line + 1}: {getattr(error, 'problem', '')})" if place else ""
        raise UserError(f"{path.name} is not YAML{line}: mend it, or 'git checkout {path.name}'") from None
    if not isinstance(content, dict):
        raise UserError(f"{path.name} holds no table of sections: restore it with 'git checkout {path.name}'")
    return content


def _explain(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    value = fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}{did_you_mean(str(fault['loc'][-1]), _known_keys(fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    if fault["type"] == "literal_error":
        options = fault["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(str(value), options, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key} is {value!r}, allowed: {', '.join(options)}{guess}"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} is {value!r}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys allowed at a place in the file, found by walking the models."""
    model: Any = Params
    for step in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(step)].annotation
        else:
            model = get_args(model)[-1]
    return list(model.model_fields) if hasattr(model, "model_fields") else []
