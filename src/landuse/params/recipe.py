"""Recipes: how a network is trained, as a list of phases; and the augmentations that they choose from."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from landuse.params.base import Count, Float, Positive, Section, Share, Word
from landuse.params.fit import OF_RECIPE, Fit

Stage = Literal["stem", "layer1", "layer2", "layer3", "layer4"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Freeze = Literal["none", Stage, "backbone"]
BatchNormMode = Literal["eval", "adapt", "train"]
Scheduler = Literal["constant", "step", "exponential", "plateau", "cosine", "warm_restarts", "linear", "onecycle"]
Optimizer = Literal["adam", "adamw", "sgd", "sam"]
Monitor = Literal["val_loss", "val_accuracy", "val_macro_f1"]
Normalise = Literal["auto", "tiles", "percentiles", "weights", "unscaled"]
InputSize = Annotated[int, Field(ge=8, le=1024)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]  # 3 GB of tiles of 64 px, before any feature map
# Adam's steps are as long as the learning rate, and a weight of 1e-5 does not notice 1e-12
LearningRate = Annotated[Positive, Field(ge=1e-12, le=10)]
Alpha = Annotated[Float, Field(ge=0, le=1000)]  # above, every share is a half
WeightDecay = Annotated[Float, Field(ge=0, le=100)]


class RandAugment(Section):
    ops: Annotated[int, Field(ge=1, le=20)]  # each is one more pass over the batch
    magnitude: Annotated[int, Field(ge=0, le=30)]


class Augment(Section):
    """Random changes of a tile, or of a batch (mixup, cutmix); what is not named is off.

    dihedral: one of the eight exact flips and turns. rotate: at most so many degrees. translate: at most such a
    share of the side. crop: the smallest share of the area that a random crop keeps. brightness to hue: relative
    ranges, hue (of RGB tiles) as a share of the circle. erase: probability of an erased box. mixup, cutmix: alpha of
    the Beta distribution; given both, each batch gets one of them.
    """

    dihedral: bool = False
    hflip: bool = False
    vflip: bool = False
    rotate: Annotated[Float, Field(ge=0, le=180)] = 0.0
    translate: Annotated[Float, Field(ge=0, le=0.5)] = 0.0
    crop: Annotated[Positive, Field(le=1)] = 1.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[Float, Field(ge=0, le=0.5)] = 0.0
    erase: Share = 0.0
    randaugment: RandAugment | None = None
    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0


class Head(Section):
    """Dropout and a linear layer; or, with ``hidden`` units, dropout, linear, ReLU, ``hidden_dropout``, linear."""

    hidden: Annotated[int, Field(ge=1, le=65_536)] | None
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    hidden_dropout: Annotated[Float, Field(ge=0, lt=1)] = 0.0


class Loss(Section):
    """gamma: focus of the focal loss; 0 is cross-entropy."""

    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: bool
    label_smoothing: Annotated[Float, Field(ge=0, lt=1)]
    gamma: Annotated[Float, Field(ge=0, le=100)] = 2.0


class Phase(Section):
    """Epochs with one set of parameters that learn, and one optimiser.

    bn: BatchNorm of the frozen stages; eval: nothing moves; adapt: its statistics follow the tiles; train: its scale
    and shift learn too. input_size: of this phase, None: ``model.input_size``. lr: of the head. lr_factors: of
    "backbone" or of single stages, relative to it. lr_decay: or one factor from the head to layer4, from layer4 to
    layer3, and so on. patience: epochs without a gain of ``monitor`` above ``min_delta`` before the phase ends.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$", max_length=100)]
    freeze: Freeze
    bn: BatchNormMode = "eval"
    input_size: InputSize | None = None
    epochs: Count
    lr: LearningRate
    lr_factors: dict[Literal["backbone", Stage], Annotated[Positive, Field(le=1000)]] = Field(default_factory=dict)
    lr_decay: Annotated[Positive, Field(le=1)] = 1.0
    optimizer: Optimizer
    weight_decay: WeightDecay
    scheduler: Scheduler
    monitor: Monitor
    min_delta: Annotated[Float, Field(ge=0)] = 0.0
    patience: Count | None

    @model_validator(mode="after")
    def _one_kind_of_factors(self) -> Self:
        if self.lr_factors and self.lr_decay != 1:
            raise ValueError(f"phase {self.name!r} has lr_factors and lr_decay: give one of them")
        return self

    def lr_of(self, stage: str) -> float:
        """Return the learning rate of a stage, or of the "head"."""
        if stage == "head":
            return self.lr
        depth = len(STAGES) - STAGES.index(stage)
        factors = {str(name): factor for name, factor in self.lr_factors.items()}
        return self.lr * factors.get(stage, factors.get("backbone", 1.0)) * self.lr_decay**depth


class Pretraining(Section):
    """Epochs of an autoencoder on tiles without their labels. lr: of Adam at the start; it falls as a cosine."""

    epochs: Count
    lr: LearningRate


class Recipe(Section):
    """How to train: a network in ``phases``, or a classical model, by its ``fit``.

    least_batches: of an epoch; fewer tiles are shown again within it, by other random changes. accumulate: batches
    whose gradients make one step. clip_norm: largest norm of all gradients. ema: decay of an exponential mean of the
    weights; swa: share of each phase after which weights are averaged over epochs; the mean is what is validated and
    kept. from_scratch: random weights whatever ``model.weights`` says. pretraining: of random weights, before the
    phases; for small networks, see ``model.autoencoder``.
    normalise: each band, by what: auto (``weights`` for 8-bit RGB, else ``tiles``), tiles (mean and deviation of the
    training tiles), percentiles (their median and the width between two percentiles, which clouds do not move), weights
    (what they were trained with: red, green and blue alone), unscaled (reflectance in [0, 1] for weights that expect 0
    to 255: the mistake that docs/collapse.md tells of).
    """

    batch_size: BatchSize
    least_batches: Count = 1
    accumulate: Count = 1
    clip_norm: Positive | None = None
    ema: Annotated[Positive, Field(lt=1)] | None = None
    swa: Annotated[Share, Field(lt=1)] | None = None
    from_scratch: bool = False
    pretraining: Pretraining | None = None
    normalise: Normalise = "auto"
    head: Head
    augment: Word
    loss: Loss
    phases: Annotated[list[Phase], Field(min_length=1)] = Field(default_factory=list, exclude_if=lambda own: not own)
    fit: Fit | None = None

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if bool(self.phases) == bool(self.fit):
            raise ValueError("give phases, for networks, or fit, for classical models: one of them")
        if self.fit:
            return self._fits()
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phases share a name ({', '.join(names)}): each needs its own")
        if self.phases[-1].input_size is not None:
            raise ValueError("the last phase has an input_size: what is kept works at model.input_size, leave it out")
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema and swa both average the weights: set one of them to null")
        if self.accumulate > 1 and any(phase.optimizer == "sam" for phase in self.phases):
            raise ValueError("sam needs each batch twice: set accumulate to 1, or choose another optimizer")
        return self

    def _fits(self) -> Self:
        plain = self.loss.model_copy(update={"class_weights": False})
        allowed = OF_RECIPE | {"head": (Head(hidden=None, dropout=0.0),)}
        odd = [key for key, values in allowed.items() if getattr(self, key) not in values]
        if plain != Loss(class_weights=False, label_smoothing=0.0):
            odd.append("loss (but for class_weights)")
        if odd:
            raise ValueError(f"{', '.join(odd)} of a recipe with fit means nothing: set it as recipe classical has it")
        return self
