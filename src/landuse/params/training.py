"""Sections model, train, runtime, collapse and tune: the network, what overrides a recipe, the guards, the search."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from landuse.params.base import Count, Float, Place, Positive, Section, Seed, Share, Word
from landuse.params.recipe import BatchSize, Freeze, InputSize, LearningRate, Monitor, Normalise, Scheduler


class Model(Section):
    backbone: Word
    weights: Place
    input_size: InputSize
    stem: Literal["standard", "small"]
    pooling: Literal["avg", "gem"]
    input_adapter: Literal["auto", "inflate", "repeat", "project", "scratch_stem", "select_rgb"]
    adapter_learns: bool
    fusion: Literal["early", "late"]


class Exponential(Section):
    gamma: Annotated[Positive, Field(le=1)]


class Step(Exponential):
    step_size: Count


class Plateau(Section):
    factor: Annotated[Positive, Field(lt=1)]
    patience: Annotated[int, Field(ge=0, le=1_000_000)]


class Cosine(Section):
    warmup: Annotated[Share, Field(le=0.99)]
    min_factor: Share


class WarmRestarts(Section):
    period: Count
    factor: Annotated[int, Field(ge=1, le=100)]


class OneCycle(Section):
    warmup: Annotated[Positive, Field(le=0.99)]
    start_factor: Annotated[Positive, Field(le=1)]
    end_factor: Annotated[Positive, Field(le=1)]


class Schedulers(Section):
    step: Step
    exponential: Exponential
    plateau: Plateau
    cosine: Cosine
    warm_restarts: WarmRestarts
    onecycle: OneCycle


class Adam(Section):
    beta1: Annotated[Share, Field(lt=1)]
    beta2: Annotated[Share, Field(lt=1)]


class SGD(Section):
    momentum: Annotated[Share, Field(lt=1)]
    nesterov: bool

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead along the momentum, which is 0: set nesterov to false")
        return self


class SAM(Section):
    rho: Annotated[Positive, Field(le=100)]
    base: Literal["adam", "adamw", "sgd"]


class Optimizers(Section):
    adam: Adam
    sgd: SGD
    sam: SAM


class Train(Section):
    recipe: Word
    seed: Seed
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    compile: bool
    keep_phases: bool
    frozen_views: Annotated[int, Field(ge=1, le=1000)] | None  # each is a copy of what is kept of every tile
    lr: LearningRate | None
    freeze: Freeze | None
    scheduler: Scheduler | None
    epochs: Count | None
    batch_size: BatchSize | None
    augment: Word | None
    normalise: Normalise | None
    schedulers: Schedulers
    optimizers: Optimizers


class Runtime(Section):
    """What changes no result, so that no stage declares it in dvc.yaml."""

    cache: bool
    cache_gb: Annotated[Positive, Field(le=1_000_000)]
    checkpoint_minutes: Annotated[Positive, Field(le=1_000_000)]
    log_model: bool


class Collapse(Section):
    """Guards against training that cannot succeed. Their other limits are constants of ``landuse.training.guards``."""

    action: Literal["warn", "stop", "fail"]
    gate: bool
    logistic_tolerance: Share
    one_class_share: Annotated[Positive, Field(le=1)]
    eval_gap: Positive
    gradient_norm: Positive


class Dimension(Section):
    """What one key may be in a search: a range, searched on a logarithmic scale if ``log``, or one of some choices."""

    low: Float | None = None
    high: Float | None = None
    log: bool = False
    choices: Annotated[list[str | int | float | bool | None], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _a_range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.log or self.low is not None or self.high is not None:
                raise ValueError("choices stand alone: leave out low, high and log, or the choices")
            if any(self.choices.count(choice) > 1 for choice in self.choices):
                raise ValueError(f"a choice of {self.choices} is there twice: leave one out")
        elif self.low is None or self.high is None:
            raise ValueError("give a range by low and high, or a list of choices")
        elif self.low >= self.high:
            raise ValueError(f"low is {self.low:g}, high is {self.high:g}: low must be the smaller one")
        elif self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}: a logarithmic range has positive ends; raise it, or drop log")
        return self


class Pruning(Section):
    startup_trials: Count
    warmup_epochs: Annotated[int, Field(ge=0, le=1_000_000)]


class Tune(Section):
    """Hyperparameter search; see ``landuse tune --help``."""

    trials: Count
    monitor: Monitor
    seed: Seed
    pruning: Pruning
    space: dict[Word, Dimension]
