"""params.yaml as typed, validated, frozen objects: the only reader of that file."""

from landuse.params.data import PARTS, Data, Fractions, Mapping, Part, Published, PublishedList, SourceName, Split
from landuse.params.deliverables import Ensemble, Evaluate
from landuse.params.file import Params, check, load, read
from landuse.params.fit import CLASSICAL, Fit
from landuse.params.recipe import STAGES, Augment, Freeze, Head, Loss, Monitor, Phase, Recipe
from landuse.params.training import Collapse, Optimizers, Runtime, Schedulers, Tune

__all__ = [
    "CLASSICAL", "PARTS", "STAGES", "Augment", "Collapse", "Data", "Ensemble", "Evaluate", "Fit", "Fractions", "Freeze",
    "Head", "Loss",
    "Mapping", "Monitor", "Optimizers", "Params", "Part", "Phase", "Published", "PublishedList", "Recipe", "Runtime",
    "Schedulers", "SourceName", "Split", "Tune", "check", "load", "read",
]  # fmt: skip
