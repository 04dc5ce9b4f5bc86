"""Sections evaluate, ensemble and export."""

import re
import warnings
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from landuse.params.base import Count, Float, Place, Positive, Section, Seed, Word

Scaler = Literal["none", "temperature", "power"]


def _no_other_one(value: object) -> object:
    """``Literal`` compares by ==, by which true is 1."""
    return value if type(value) is int else repr(value)


def _registrable(name: str) -> str:
    if not re.fullmatch(r"[\w-]+(@(?!latest$|v\d+$)[\w-]+)?", name, re.IGNORECASE):
        raise ValueError(
            f"is {name!r}: give NAME or NAME@ALIAS, of letters, digits, _ and -; MLflow keeps the aliases latest, v1, "
            "v2 for itself"
        )
    return name


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=100, le=100_000)]  # ends of intervals move no more; of all labels in memory
    seed: Seed
    scaling: Literal["auto", Scaler]
    coverage: Annotated[Positive, Field(le=1)]
    conformal_coverage: Annotated[Positive, Field(lt=1)]
    views: Annotated[Literal[1, 8], BeforeValidator(_no_other_one)]
    views_gain: bool
    ood_tiles: Count


class Ensemble(Section):
    """Networks that answer together with this training's own; see ``landuse.prediction.members``."""

    members: list[Place]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = sorted({name for name in self.members if self.members.count(name) > 1})
        if twice:
            raise ValueError(f"members names {', '.join(twice)} twice: leave one of them out")
        return self


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pydantic's: classes themselves have a method ``register``, which no params see

    class Export(Section):
        opset: Annotated[int, Field(ge=18, le=99)]  # what the installed onnx has is less: see export.onnx_file
        tolerance: Annotated[Positive, Field(le=1)]
        int8: Literal["none", "auto"]
        register: Annotated[Word, AfterValidator(_registrable)] | None
