"""Sections evaluate, ensemble and export."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from landuse.params.base import Count, Float, Positive, Section, Seed

Scaler = Literal["none", "temperature", "power"]


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Seed
    scaling: Literal["auto", Scaler]
    coverage: Annotated[Positive, Field(le=1)]
    conformal_coverage: Annotated[Positive, Field(lt=1)]
    views: Literal[1, 8]
    ood_tiles: Count


class Ensemble(Section):
    """Networks that answer together with this training's own; see ``landuse.prediction.members``."""

    members: list[Annotated[str, Field(min_length=1)]]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = sorted({name for name in self.members if self.members.count(name) > 1})
        if twice:
            raise ValueError(f"members names {', '.join(twice)} twice: leave one of them out")
        return self


class Export(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    log_model: bool
