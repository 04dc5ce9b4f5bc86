"""Sections evaluate and export."""

from typing import Annotated, Literal

from pydantic import Field

from landuse.params.base import Float, Positive, Section, Seed

Scaler = Literal["none", "temperature", "power"]


class Evaluate(Section):
    confidence: Annotated[Float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=100)]
    seed: Seed
    scaling: Literal["auto", Scaler]
    coverage: Annotated[Positive, Field(le=1)]
    conformal_coverage: Annotated[Positive, Field(lt=1)]


class Export(Section):
    opset: Annotated[int, Field(ge=18)]
    tolerance: Positive
    log_model: bool
