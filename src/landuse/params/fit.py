"""Classical models, which are fitted at once: their hyperparameters, and what of the other params is not for them."""

from typing import Annotated, Any

from pydantic import Field

from landuse.params.base import Float, Positive, Section

Leaves = Annotated[int, Field(ge=2, le=4096)]  # of a tree: all leaves of all trees are in the exported file
Trees = Annotated[int, Field(ge=1, le=2000)]


class Logistic(Section):
    """C: inverse strength of the L2 penalty, as in scikit-learn."""

    C: Positive


class RandomForest(Section):
    """trees; leaves of each, at most; smallest_leaf: training tiles that a leaf holds at least."""

    trees: Trees
    leaves: Leaves
    smallest_leaf: Annotated[int, Field(ge=1, le=1_000_000)]


class GradientBoosting(Section):
    """iterations: each adds a tree for each label, or one for two labels; leaves of each, at most; l2: penalty."""

    iterations: Trees
    learning_rate: Annotated[Positive, Field(le=1)]
    leaves: Leaves
    l2: Annotated[Float, Field(ge=0)]


class Fit(Section):
    """What a recipe has instead of phases: the settings of each classical model, by its name as ``model.backbone``."""

    logistic: Logistic
    random_forest: RandomForest
    gradient_boosting: GradientBoosting


CLASSICAL = tuple(Fit.model_fields)
# what a recipe and the other params may say where there is no network to say it of
OF_RECIPE: dict[str, tuple[Any, ...]] = {
    "accumulate": (1,),
    "clip_norm": (None,),
    "least_batches": (1,),
    "ema": (None,),
    "swa": (None,),
    "normalise": ("auto",),
    "augment": ("none",),
}
OF_PARAMS: dict[str, tuple[Any, ...]] = {
    "model.weights": ("imagenet", "none"),
    "model.stem": ("standard",),
    "model.pooling": ("avg",),
    "model.input_adapter": ("auto",),
    "train.lr": (None,),
    "train.freeze": (None,),
    "train.scheduler": (None,),
    "train.epochs": (None,),
    "train.batch_size": (None,),
    "train.augment": (None,),
    "train.normalise": (None,),
    "train.frozen_views": (None,),
    "train.precision": ("auto", "fp32"),
    "train.compile": (False,),
    "train.keep_phases": (False,),
}
