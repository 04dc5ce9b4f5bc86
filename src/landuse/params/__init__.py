"""params.yaml as typed, validated, frozen objects: the only reader of that file."""

from landuse.params.data import PARTS, Data, Fractions, Mapping, Part, Published, PublishedList, SourceName, Split
from landuse.params.deliverables import Ensemble, Evaluate, Export
from landuse.params.file import Params, check, load, read
from landuse.params.recipe import STAGES, Augment, Freeze, Head, Loss, Monitor, Phase, Recipe
from landuse.params.training import Collapse, Model, Optimizers, Runtime, Schedulers, Train, Tune

__all__ = [
    "PARTS",
    "STAGES",
    "Augment",
    "Collapse",
    "Data",
    "Ensemble",
    "Evaluate",
    "Export",
    "Fractions",
    "Freeze",
    "Head",
    "Loss",
    "Mapping",
    "Model",
    "Monitor",
    "Optimizers",
    "Params",
    "Part",
    "Phase",
    "Published",
    "PublishedList",
    "Recipe",
    "Runtime",
    "Schedulers",
    "SourceName",
    "Split",
    "Train",
    "Tune",
    "check",
    "load",
    "read",
]
